"""What features cost: all lots of a made-up plant, then windows beside DuckDB's.

python benchmarks/features.py [--lots 100000 1000000]

The parts lie in a folder of their own: beside this file they would import it in place of the package they measure.
"""

import argparse
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--lots", type=int, nargs="+", default=[100_000, 1_000_000])
lots = sorted(parser.parse_args().lots)
for part, sizes in (("feature_building.py", lots), ("windows.py", lots[-1:])):
    print(f"# {part}", flush=True)
    script = Path(__file__).parent / "parts" / part
    subprocess.run([sys.executable, script, "--lots", *map(str, sizes)], check=True)
