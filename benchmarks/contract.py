"""The API tried by schemathesis, by its own OpenAPI document: all checks, with a key of each role, on both databases.

python benchmarks/contract.py [--examples 50] [--seed 1] [--roles line …] [--databases sqlite postgresql]
"""

import os
import subprocess
import sys
from pathlib import Path

root = Path(__file__).parents[1]
script = root / "benchmarks" / "parts" / "contract_run.py"
env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
sys.exit(subprocess.run([sys.executable, script, *sys.argv[1:]], check=False, env=env).returncode)
