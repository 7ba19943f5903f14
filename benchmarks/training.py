"""What training costs beyond LightGBM itself.

python benchmarks/training.py [--lots 50000] [--repeats 5] [--whole]
"""

import subprocess
import sys
from pathlib import Path

script = Path(__file__).parent / "parts" / "model_training.py"
sys.exit(subprocess.run([sys.executable, script, *sys.argv[1:]], check=False).returncode)
