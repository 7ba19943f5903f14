"""A site of a few rows, written by the test that reads it."""

from pathlib import Path

from features.reading import Reading, read_histories
from features.site import Site, read_site

NOW = 1_800_000_000_000_000  # 2027-01-15
LABEL = "[label]\nreturned_ppm = 8000\nwithin_days = 180\n"
LOTS = """
    lot_id,product_id,produced_at
    L1,P1,2024-03-01 08:00
    L2,P1,2024-03-02 08:00
"""
RETURNS = """
    return_id,lot_id,occurred_at,reported_at
    R1,L1,2024-04-01 10:00,2024-04-03 12:00
"""


def write_site(folder: Path, toml: str = LABEL, **tables: str) -> Site:
    """A site with CSV tables: `lots` and `returns` are there unless given, "" leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lotrisk.toml").write_text(toml, encoding="utf-8")
    for name, text in ({"lots": LOTS, "returns": RETURNS} | tables).items():
        if text:
            (folder / f"{name}.csv").write_text(csv(text), encoding="utf-8")
    return read_site(folder, {})


def csv(text: str) -> str:
    """The lines of an indented text."""
    return "".join(f"{line.strip()}\n" for line in text.strip().splitlines())


def read_small(folder: Path, toml: str = LABEL, **tables: str) -> Reading:
    """Writes and reads it."""
    return read_histories(write_site(folder, toml, **tables), now=NOW)


def ids(reading: Reading, table: str, column: str, kind: str) -> list[str | None]:
    """An id column in plain words."""
    return reading.histories.ids[kind].decode(reading.histories[table][column])
