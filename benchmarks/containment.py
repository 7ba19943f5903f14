"""What containment costs: suspects out of a million rows of genealogy, and the gate's rule with ten open.

python benchmarks/containment.py [--lots 200000]
"""

import subprocess
import sys
from pathlib import Path

script = Path(__file__).parent / "parts" / "tracing.py"
sys.exit(subprocess.run([sys.executable, script, *sys.argv[1:]], check=False).returncode)
