"""What data a model was made of, said so that the same data say the same."""

from random import Random
from typing import Any

import pytest

from features.rules import Rules
from tests.tiny_site import Row, Rows, day, histories, rules, shuffled, tiny_site
from training.fingerprint import fingerprints

RULE: Rules = rules()


def prints(rows: Rows) -> dict[str, dict[str, Any]]:
    return fingerprints(histories(rows, RULE))


@pytest.fixture(scope="module")
def rows() -> Rows:
    return tiny_site(Random(3), lots=15)


def test_every_table_has_its_rows_and_a_hash(rows: Rows) -> None:
    found = prints(rows)
    assert set(found) == set(rows)
    assert all(len(told["sha256"]) == 64 and told["rows"] > 0 for told in found.values())
    assert found["customers"]["rows"] == 3


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing(rows: Rows, seed: int) -> None:
    assert prints({name: shuffled(Random(seed), table) for name, table in rows.items()}) == prints(rows)


def test_ids_that_do_not_occur_change_nothing(rows: Rows) -> None:
    """A later row brings lots, products and texts of its own; before it is known they are in no row."""
    until = day(300)
    lot = {"lot_id": "A new one", "product_id": "A", "line_id": "A", "customer_id": "A", "colour": "amber"}
    more = rows | {"lots": [*rows["lots"], lot | {"produced_at": until}]}
    before, after = (fingerprints(histories(told, RULE).known_before(until)) for told in (rows, more))
    assert before == after
    assert prints(more) != prints(rows)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("lots", {"temperature": 999.0}),
        ("lots", {"colour": "amber"}),
        ("lots", {"product_id": "another"}),
        ("lots", {"quantity": 21}),
        ("customers", {"tier": "Z"}),
        ("surveys", {"score": 11.0}),
        ("actions", {"scope": "line:N9"}),
    ],
)
def test_one_changed_value_changes_the_hash_of_its_table_alone(rows: Rows, table: str, change: Row) -> None:
    changed = [row | change if place == 0 else row for place, row in enumerate(rows[table])]
    unlike = {name for name, told in prints(rows | {table: changed}).items() if told != prints(rows)[name]}
    assert unlike == {table}


def test_when_a_row_was_known_is_part_of_it(rows: Rows) -> None:
    later = [row | {"known_at": row["opened_at"] + 1} for row in rows["actions"]]
    assert prints(rows | {"actions": later})["actions"] != prints(rows)["actions"]


def test_values_swapped_between_rows_are_noticed() -> None:
    """A hash of each column sorted by itself would not see it."""
    lots = [{"lot_id": name, "product_id": "P", "produced_at": day(1), "colour": c} for name, c in ("Ar", "Bg")]
    swapped = [lots[0] | {"colour": "g"}, lots[1] | {"colour": "r"}]
    back = [{"return_id": "R", "lot_id": "A", "occurred_at": day(2), "reported_at": day(3)}]
    assert prints({"lots": lots, "returns": back}) != prints({"lots": swapped, "returns": back})
