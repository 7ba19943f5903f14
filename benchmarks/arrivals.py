"""How soon a row that arrived counts in the score of every worker.

python benchmarks/arrivals.py [--lots 4000 20000 100000] [--rows 50] [--workers 2] [--supplies]
"""

import subprocess
import sys
from pathlib import Path

script = Path(__file__).parent / "parts" / "service_arrivals.py"
sys.exit(subprocess.run([sys.executable, script, *sys.argv[1:]], check=False).returncode)
