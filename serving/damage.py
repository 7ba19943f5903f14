"""Damage of the audit log, named."""

from dataclasses import dataclass

MOST = 1_000  # that are listed


@dataclass(frozen=True)
class Damage:
    """`kind`: a name of KINDS; `seq`: the entry, None where it is of none."""

    kind: str
    seq: int | None
    detail: str


KINDS = {
    "changed": "an entry is not what was written",
    "removed": "an entry was taken out",
    "inserted": "an entry was put in",
    "reordered": "entries stand in another order",
    "cut_tail": "the last entries are gone, by a kept head",
    "rewritten": "the chain was written anew, by a kept head",
    "salt": "the salt of a text is not what was written",
    "unguarded": "the database no longer refuses to change entries",
    "head": "the file of kept heads was changed",
}


class Found:
    """Collects damage; beyond MOST it only counts."""

    def __init__(self) -> None:
        self.listed: list[Damage] = []
        self.more = 0

    def add(self, kind: str, seq: int | None, detail: str) -> None:
        if len(self.listed) < MOST:
            self.listed.append(Damage(kind, seq, detail))
        else:
            self.more += 1
