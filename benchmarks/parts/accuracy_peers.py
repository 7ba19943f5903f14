"""CatBoost and AutoGluon, in an environment of their own, on the same tables through Parquet."""

import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from features.asof import Array
from training.tables import BlockTable

PEERS = ("autogluon.tabular[catboost,lightgbm,xgboost]==1.6.*",)
SCRIPT = Path(__file__).parent / "accuracy_peer.py"


def peers_python(folder: Path) -> Path:
    """The interpreter of the peers' environment; made the first time, 1.1 GB."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder} (a few minutes)", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return python.absolute()


def run_peers(
    python: Path, tables: Sequence[BlockTable], *, seconds_a_block: float
) -> dict[str, tuple[list[Array], float]]:
    """By name: margins of each block, shape (rows, choices), and the seconds of fitting."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        for number, table in enumerate(tables):
            names = [f"f{place}" for place in range(table.matrix.shape[1])]
            learned = dict(zip(names, table.sample.matrix.T, strict=True)) | {"failed": table.sample.failed}
            asked = dict(zip(names, table.matrix.T, strict=True))
            pa.parquet.write_table(pa.table(learned), folder / f"{number}.learn.parquet")
            pa.parquet.write_table(pa.table(asked), folder / f"{number}.ask.parquet")
            category = [
                name for name, spec in zip(names, table.sample.features, strict=True) if spec.type == "category"
            ]
            (folder / f"{number}.json").write_text(json.dumps({"category": category}))
        subprocess.run(
            [python, SCRIPT, folder, str(len(tables)), f"{seconds_a_block:.1f}"], check=True, stdout=subprocess.DEVNULL
        )
        said = json.loads((folder / "seconds.json").read_text())
        return {
            name: ([np.load(folder / f"{number}.{name}.npy") for number in range(len(tables))], seconds)
            for name, seconds in said.items()
        }
