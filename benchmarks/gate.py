"""The gate: what it answers in a second, how soon, what durability and reasons cost; its memory, and a soak.

python benchmarks/gate.py [--database sqlite postgresql] [--seconds 10] [--workers 1] [--lots 20000]
python benchmarks/gate.py --requests 500000
python benchmarks/gate.py --soak 20
"""

import os
import subprocess
import sys
from pathlib import Path

here = Path(__file__).parent
found = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
command = [sys.executable, str(here / "parts" / "gate_run.py"), *sys.argv[1:]]
sys.exit(subprocess.run(command, env=os.environ | {"PYTHONPATH": found}, check=False).returncode)
