"""Jobs of the command line that stand on features alone: the check, the table of scores, and reading what was typed."""

from typing import TYPE_CHECKING, Any

from features.errors import SettingsError
from features.terminal import console, progress

if TYPE_CHECKING:
    from features.champion import Scorer
    from features.reading import Reading
    from features.site import Site


def moment(text: str, site: "Site") -> int:
    """Microseconds UTC of a date or time as it is typed; SettingsError for what is none."""
    from features.times import read_moment

    try:
        return read_moment(text, site.timezone)
    except ValueError as wrong:
        raise SettingsError(f"{text!r} is no moment ({wrong}); write 2026-03-01 or 2026-03-01T08:00:00Z") from None


def period(option: str, text: str) -> int:
    """Microseconds of a duration as it is typed; SettingsError names the option for what is none, or nothing long."""
    from features.period import duration

    try:
        length = duration(text)
    except ValueError as wrong:
        raise SettingsError(f"{option} {text}: {wrong}") from None
    if length <= 0:
        raise SettingsError(f"{option} {text}: must be longer than nothing")
    return length


def check(reading: "Reading", site: "Site", *, quiet: bool = False) -> dict[str, Any]:
    """The findings, shown unless `quiet`; quarantined rows are kept in the state folder."""
    from features.check import check_site
    from features.findings import render
    from features.quarantine import write_quarantine

    findings = check_site(reading, site)
    quarantined = {name: report.quarantine for name, report in reading.report.items()}
    write_quarantine(quarantined, site.state_dir / "quarantine")
    if not quiet:
        console().print(render(findings))
    return findings


def scores(
    reading: "Reading", site: "Site", lots: list[str] | None, *, as_of: int, most_reasons: int
) -> "tuple[Scorer, Any]":
    """What scores, and its table of the lots in the order named or, None, of the open lots, the riskiest first."""
    from features.champion import read_scorer
    from features.score import Policy, open_lots
    from features.score_table import score_table

    scorer = read_scorer(site.state_dir)
    histories, policy = reading.histories, Policy.of(site)
    named = open_lots(histories, site.rules, as_of) if lots is None else lots
    with progress() as show:
        show("score", 1, 1)
        table = score_table(scorer, histories, policy, lots=named, as_of=as_of, most_reasons=most_reasons)
    if lots is None:
        table = table.sort_by([("risk", "descending"), ("lot_id", "ascending")])
    return scorer, table
