"""One fault after the other under load from another process, every answer compared with what is made offline.

python benchmarks/faults.py [--seconds 12] [--only NAME ...] [--database sqlite|postgresql] [--short]
"""

import os
import subprocess
import sys
from pathlib import Path

here = Path(__file__).parent
found = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
command = [sys.executable, str(here / "parts" / "fault_run.py"), *sys.argv[1:]]
sys.exit(subprocess.run(command, env=os.environ | {"PYTHONPATH": found}, check=False).returncode)
