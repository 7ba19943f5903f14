"""Tries a small factory's API with a key of each role, and prints what was asked and checked; 1: something failed."""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from serving.roles import ROLE_NAMES
from tests.serving.live import LOTRISK, serving
from tests.serving.tried import Tried, keys_for, known_ids, try_out
from tests.serving.unsteady import postgres_schema

DATABASES = ("sqlite", "postgresql")
PROMOTIONS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="of an operation in fuzzing, and of the stateful runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lots", type=int, default=400)
    parser.add_argument("--roles", nargs="+", choices=ROLE_NAMES, default=ROLE_NAMES)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    asked = parser.parse_args()
    failed = False
    with TemporaryDirectory() as aside:
        plant = Path(aside) / "plant"
        _lotrisk("demo", "--lots", str(asked.lots), "--folder", str(plant), "--no-serve")
        _lotrisk("promote", str(plant), "1", "--reason", "to be tried")
        print(f"{'database':12}{'role':10}{'operations':>11}{'cases':>8}{'checks':>9}{'failures':>9}{'seconds':>9}")
        for database in asked.databases:
            site = shutil.copytree(
                plant, Path(aside) / database / "plant", ignore=shutil.ignore_patterns("lotrisk.db*")
            )
            with _database(database, site):
                keys, known = keys_for(site), known_ids(site)
                with serving(site, workers=2) as live:
                    for role in asked.roles:
                        began = time.monotonic()
                        tried = try_out(
                            live.url,
                            Path(aside) / "tried" / database,
                            role=role,
                            key=keys[role],
                            known=known,
                            examples=asked.examples,
                            seed=asked.seed,
                            promotions=PROMOTIONS,
                        )
                        _print(database, tried, seconds=time.monotonic() - began)
                        failed |= not tried.passed
    return int(failed)


def _print(database: str, tried: Tried, *, seconds: float) -> None:
    checks = sum(tried.checks.values())
    print(
        f"{database:12}{tried.role:10}{tried.operations:>11}{tried.cases:>8,}{checks:>9,}{tried.failures:>9}{seconds:>9.0f}"
    )
    print("   ", ", ".join(f"{status}: {count:,}" for status, count in sorted(tried.statuses.items())))
    if not tried.passed:
        print(tried.said)
    sys.stdout.flush()


@contextmanager
def _database(name: str, site: Path) -> Iterator[None]:
    """The site has the database that is named, PostgreSQL in a schema of its own."""
    with postgres_schema() if name == "postgresql" else nullcontext() as url:
        if url is not None:
            settings = site / "lotrisk.toml"
            text = settings.read_text(encoding="utf-8").replace("[site]", f'[site]\ndatabase = "{url}"', 1)
            settings.write_text(text, encoding="utf-8")
        yield


def _lotrisk(*words: str) -> None:
    done = subprocess.run([str(LOTRISK), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
