"""Kills the service and `lotrisk ingest` at random moments while rows arrive, and counts what is lost or doubled.

python benchmarks/kills.py [--kills 50] [--database postgresql+psycopg://…]
"""

import subprocess
import sys
from pathlib import Path

script = Path(__file__).parent / "parts" / "service_kills.py"
sys.exit(subprocess.run([sys.executable, script, *sys.argv[1:]], check=False).returncode)
