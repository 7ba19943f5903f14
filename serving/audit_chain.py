"""The chain of the audit log as it is read: one entry after the other, each against the one before.

What was renumbered to hide a gap or an insertion gives itself away: its hash fits another number than it has.
"""

from typing import Any

from features.asof import before
from serving.audit import FIRST, hash_of
from serving.damage import Found

_NEAR = 1_000  # numbers that an entry may have had before and after the one it has
_SEARCHES = 200  # for those numbers; a few milliseconds each
_MOST_MOVED = 10_000  # entries of which it is asked whether they only changed places


class Chain:
    """Takes the rows in order of `seq`; `end` says what only the whole tells. `damaged`: numbers that were named."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.entries = self.last = 0
        self.damaged: set[int] = set()
        self._previous: Any = FIRST
        self._at: Any = None
        self._lately: dict[str, int] = {}
        self._shift = self._searches = 0
        self._runs: list[tuple[int, int, int]] = []  # first, last, and how far their old numbers lie from the new ones

    def take(self, row: Any) -> None:
        self.entries += 1
        seq = row.seq
        if not isinstance(seq, int) or seq <= self.last:
            self._name("inserted", None, f"an entry has the number {seq!r}, which the log never gives")
            return
        gap = seq - self.last - 1
        if gap:
            which = f"entry {seq - 1} is" if gap == 1 else f"entries {self.last + 1} to {seq - 1} are"
            self._name("removed", self.last + 1, f"{which} not there")
        follows = gap > 0 or row.previous == self._previous
        if (copied := self._lately.get(row.hash)) is not None and _fits(row, copied):
            self._name("inserted", seq, f"entry {seq} is entry {copied} once more")
        elif _fits(row, seq):
            if not follows:
                self._broken(seq)
            elif self._at is not None and before(row.at, self._at):
                self._name("reordered", seq, f"entry {seq} is earlier than the one before it")
        elif (was := self._was(row)) is not None:
            self._moved(seq, was - seq)
        else:
            self._name("changed", seq, f"entry {seq} is not what its hash was made of")
        self._remember(row.hash, seq)
        self.last, self._previous = seq, row.hash
        self._at = row.at if isinstance(row.at, int) else self._at

    def end(self) -> None:
        """Names what was renumbered."""
        if not self._runs:
            return
        if sum(last - first + 1 for first, last, _ in self._runs) <= _MOST_MOVED:
            are = [number for first, last, _ in self._runs for number in range(first, last + 1)]
            were = [number + shift for first, last, shift in self._runs for number in range(first, last + 1)]
            if set(are) == set(were):
                for is_now, was in zip(are, were, strict=True):
                    self._name("reordered", is_now, f"entry {is_now} was written as entry {was}")
                return
        shift_before = 0
        for first, _, shift in self._runs:
            step = shift - shift_before
            if step > 0:
                which = f"entry {first + shift_before} was" if step == 1 else f"{step} entries were"
                self._name("removed", first, f"before entry {first} {which} taken out, and later ones renumbered")
            else:
                which = f"entry {first + step} was" if step == -1 else f"entries {first + step} to {first - 1} were"
                self._name("inserted", first + step, f"{which} put in, and later ones renumbered")
            shift_before = shift

    def _remember(self, told: Any, seq: int) -> None:
        """The last hashes: a copy has that of its entry."""
        if isinstance(told, str):
            self._lately[told] = seq
        if len(self._lately) > _NEAR:
            del self._lately[next(iter(self._lately))]

    def _broken(self, seq: int) -> None:
        """An entry that is whole in itself, but follows on another than the one before it."""
        if seq == 1:
            self._name("removed", 1, "entry 1 follows on an entry that is not there; it was not the first")
        elif seq - 1 not in self.damaged and (not self._runs or self._runs[-1][1] != seq - 1):
            detail = f"entry {seq} follows on another entry {seq - 1}: it was changed and its hash made anew"
            self._name("changed", seq - 1, detail)

    def _was(self, row: Any) -> int | None:
        """The number that a row's hash was made with."""
        if self._shift and _fits(row, row.seq + self._shift):
            return int(row.seq + self._shift)
        if self._searches >= _SEARCHES:
            return None
        self._searches += 1
        numbers = (row.seq + way * far for far in range(1, _NEAR + 1) for way in (1, -1))
        return next((number for number in numbers if number > 0 and _fits(row, number)), None)

    def _moved(self, seq: int, shift: int) -> None:
        self._shift = shift
        if self._runs and self._runs[-1][1:] == (seq - 1, shift):
            self._runs[-1] = (self._runs[-1][0], seq, shift)
        else:
            self._runs.append((seq, seq, shift))

    def _name(self, kind: str, seq: int | None, detail: str) -> None:
        if seq is not None and len(self.damaged) < _MOST_MOVED:
            self.damaged.add(seq)
        self._found.add(kind, seq, detail)


def _fits(row: Any, seq: int) -> bool:
    try:
        return bool(hash_of(seq, row.at, row.kind, row.actor, row.body, row.previous) == row.hash)
    except TypeError:  # of a kind that the log never writes
        return False
