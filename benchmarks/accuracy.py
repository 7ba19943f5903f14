"""How well ours foretells, against the best that could stand in its place: same judgements, features and blocks.

python benchmarks/accuracy.py [SET ...] [--peers FOLDER] [--out FILE]

Sets: demo0 to demo4 (factories by seed) and the sites under experiments (their data is looked for beside the
repository). Ours as it comes and tuned (a few settings of its trees, chosen at each block by earlier blocks),
scikit-learn's HistGradientBoosting and logistic regression; CatBoost and AutoGluon run in an environment of their own,
made in FOLDER (.peers by default) since AutoGluon wants another pandas, on the same tables as Parquet; AutoGluon has
ten times the seconds that ours took for a block. `naive` is a join in pandas as one would write it in an afternoon, on
the demo, whose tables are plain files. Each one's choices and calibration are made by what was foretold of earlier
blocks, as ours are. Prints a Markdown table a set: figures with 95 % intervals, what is ours less theirs (log loss
below zero: ours is better), and seconds of fitting on one thread.
"""

import os
import subprocess
import sys
from pathlib import Path

parts = Path(__file__).parent / "parts"
alone = {**os.environ, "OMP_NUM_THREADS": "1"}
sys.exit(subprocess.run([sys.executable, parts / "accuracy_run.py", *sys.argv[1:]], env=alone, check=False).returncode)
