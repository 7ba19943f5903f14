"""What the service answers in a second, beside an empty route; with --size, what a history of a million lots costs.

python benchmarks/serving.py [--seconds 8] [--connections 16]
python benchmarks/serving.py --size 1000000
"""

import subprocess
import sys
from pathlib import Path

sized = any(argument.split("=")[0] == "--size" for argument in sys.argv[1:])
script = Path(__file__).parent / "parts" / ("service_size.py" if sized else "service_load.py")
sys.exit(subprocess.run([sys.executable, script, *sys.argv[1:]], check=False).returncode)
