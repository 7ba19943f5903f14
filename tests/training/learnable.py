"""A site with something to learn: one lot a day, the hot ones come back. Made by the test that reads it."""

from random import Random

from features.rules import Rules
from tests.tiny_site import Rows, day, rules

RULES = rules(ppm=100_000, within=30, reporting=5)


def learnable(lots: int = 300, *, seed: int = 0, again_every: float | None = None) -> tuple[Rows, Rules]:
    """Lots of ten units; of a hot lot two come back 20 days after it shipped, reported within five days."""
    random = Random(seed)
    made: Rows = {"lots": [], "returns": []}
    for number in range(lots):
        name, hot = f"L{number:04}", random.random() < 0.25
        temperature = (170.0 if hot else 150.0) + random.randint(-12, 12)
        lot = {"lot_id": name, "product_id": f"P{number % 3}", "line_id": f"N{number % 2}", "quantity": 10}
        shipped = number + 1 + (number % 4) / 4
        made["lots"].append(lot | {"produced_at": day(number), "shipped_at": day(shipped), "temperature": temperature})
        if hot == (random.random() < 0.9):
            back = {"return_id": f"R{number}", "lot_id": name, "quantity": 2, "occurred_at": day(shipped + 20)}
            made["returns"].append(back | {"reported_at": day(shipped + 20 + random.randint(0, 5))})
    return made, rules(ppm=100_000, within=30, reporting=5, again_every=again_every)
