"""What became of the rows of one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from features.quarantine import Quarantine


@dataclass
class Notes:
    """What was done to values on the way in, by the count; by column where it is a mapping."""

    dates_as_ends: int = 0
    """Rows known at the end of a day, for want of a time."""
    ambiguous: int = 0
    skipped: int = 0
    future_shipped: int = 0
    rounded: dict[str, int] = field(default_factory=dict)
    defaulted: dict[str, int] = field(default_factory=dict)
    unusable_attributes: dict[str, int] = field(default_factory=dict)
    """Infinite numbers, read as null."""


@dataclass(kw_only=True)
class TableReport(Notes):
    """Every row read is kept, a duplicate or quarantined; a kept one is standing or a deletion."""

    table: str
    read: int
    standing: int
    versions: int
    """Standing rows that replace an earlier one of their fact."""
    deletions: int
    duplicates: int
    quarantine: Quarantine
    known_from: str
    """The column that says when a row was known; "" for a timeless table."""
    attributes: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def kept(self) -> int:
        return self.standing + self.deletions

    @property
    def quarantined(self) -> Mapping[str, int]:
        """Rows by reason, most first."""
        return self.quarantine.counts()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the owner of the data should look at, a sentence each."""
        counted = (
            (len(self.quarantine), f"of {self.read} rows are in quarantine"),
            (self.ambiguous, "times lie in an hour that came twice; the later reading was taken"),
            (self.skipped, "times lie in an hour that the clocks skipped; they were moved to its end"),
            (self.future_shipped, "rows have a shipped_at in the future, read as not shipped yet"),
            *((count, f"values of {column} were rounded to whole units") for column, count in self.rounded.items()),
            *((n, f"values of {column} are infinite, read as null") for column, n in self.unusable_attributes.items()),
            (len(self.ignored), f"columns are not used: {', '.join(self.ignored)}"),
        )
        return tuple(f"{count} {what}" for count, what in counted if count)
