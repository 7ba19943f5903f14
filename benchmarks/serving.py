"""What the service answers in a second, beside an empty route; with --size, what a history of a million lots costs;
with --challenger, what a challenger costs those who ask.

python benchmarks/serving.py [--seconds 8] [--connections 16]
python benchmarks/serving.py --size 1000000
python benchmarks/serving.py --challenger [--seconds 5] [--rounds 6]
"""

import subprocess
import sys
from pathlib import Path

asked = sys.argv[1:]
named = {argument.split("=")[0] for argument in asked}
part = "size" if "--size" in named else "challenger" if "--challenger" in named else "load"
script = Path(__file__).parent / "parts" / f"service_{part}.py"
given = [argument for argument in asked if argument != "--challenger"]
sys.exit(subprocess.run([sys.executable, script, *given], check=False).returncode)
