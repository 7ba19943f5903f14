"""Characteristics that nobody but one lot's own arrivals names, against an oracle that reads every row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.asof import FOREVER
from features.histories import Histories, Table, Vocabulary
from features.limits import ARRIVED
from features.named import only_lots

NAMES = Vocabulary(list("wxyz"))


def histories_of(rows, *, arrivals=True):
    """Measurements as (lot, characteristic, arrived, stands)."""
    lot, characteristic, arrived, stands = (np.array(column, dtype=int) for column in zip(*rows, strict=True))
    columns = {"lot_id": lot, "characteristic": characteristic} | ({ARRIVED: arrived == 1} if arrivals else {})
    spans = {"first": lot, "known": lot, "superseded": np.where(stands == 1, FOREVER, 9)}
    return Histories({"measurements": Table("measurements", columns, **spans)}, {"characteristic": NAMES})


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_a_characteristic_is_one_lots_own_until_a_source_or_another_lot_has_it(rows):
    found = only_lots(histories_of(rows)).tolist()
    for name in range(len(NAMES)):
        said = [(lot, arrived) for lot, named, arrived, stands in rows if named == name and stands]
        lots = {lot for lot, _ in said}
        alone = len(lots) == 1 and all(arrived for _, arrived in said)
        assert found[name] == (lots.pop() if alone else -1)
    assert found[-1] == -1


def test_where_nothing_arrived_and_where_nothing_is_measured_every_name_is_known():
    assert only_lots(histories_of([(0, 1, False, True)], arrivals=False)).tolist() == [-1] * 5
    assert only_lots(Histories({}, {})).tolist() == [-1]
