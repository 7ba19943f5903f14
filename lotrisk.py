"""The command line of lot-risk. Each command imports its job when it runs: `--help` answers at once."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

import click

from features.errors import ContractViolation, LotRiskError, SettingsError, SourceUnreachable

if TYPE_CHECKING:
    from features.reading import Reading
    from features.site import Site
    from training.train import Trained

SITE = click.argument("site", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="A .csv or .parquet file.")


class _OneLine(click.Group):
    """Faults end in one line on standard error and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except LotRiskError as fault:
            click.echo(f"lotrisk: {' '.join(str(fault).split())}", err=True)
            context.exit(2)


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lot-risk")
def main() -> None:
    """May this lot ship? Predicts each lot's risk of failing in the field from what was known at a moment.

    A SITE is a folder with a lotrisk.toml; `lotrisk init` writes one. Dates are the start of the day in the site's
    time zone; times may carry an offset.
    """


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a commented lotrisk.toml into FOLDER."""
    from features.example import write_example

    click.echo(f"wrote {write_example(folder)}; edit it, then: lotrisk check {folder}")


@main.command()
@SITE
@AS_JSON
def check(site: Path, as_json: bool) -> None:
    """Read and validate every table: what is there, what is quarantined and why.

    Exits with 1 when a table is unusable. Quarantined rows are kept in .lotrisk/quarantine.
    """
    settings = _site(site)
    try:
        with _progress() as progress:
            progress("read", 1, 1)
            reading = _read(settings)
    except (ContractViolation, SourceUnreachable) as unusable:
        if as_json:
            _print_json({"site": settings.name, "ok": False, "error": str(unusable)})
        click.echo(f"lotrisk: {' '.join(str(unusable).split())}", err=True)
        sys.exit(1)
    findings = _check(reading, settings)
    if as_json:
        _print_json(findings)
    sys.exit(0 if findings["ok"] else 1)


@main.command()
@SITE
@click.option("--until", help="Learn only from what was known strictly before this moment. Default: now.")
@click.option("--seed", default=0, show_default=True, help="Of the trees and the bootstrap.")
@AS_JSON
def train(site: Path, until: str | None, seed: int, as_json: bool) -> None:
    """Train, evaluate and register a version; promote it if the rule allows."""
    settings = _site(site)
    trained, promoted = _train(settings, _read(settings), until=_moment(until, settings), seed=seed, quiet=as_json)
    if as_json:
        verdict = trained.verdict
        _print_json(
            {
                "version": trained.version,
                "promoted": promoted,
                "reasons": [*verdict.reasons, *verdict.void],
                "label": trained.label,
                "rounds": trained.rounds,
                "rate": trained.rate,
                "figures": trained.rows,
            }
        )


@main.command()
@SITE
@click.option("--from", "start", required=True, help="Judgements from this moment on.")
@click.option("--until", help="Judgements before this moment, labels by what was known before it. Default: now.")
@click.option("--step", default="90d", show_default=True, help="A new model every so often.")
@OUT
@AS_JSON
def backtest(site: Path, start: str, until: str | None, step: str, out: Path, as_json: bool) -> None:
    """Score the past as it would have been scored then, by models trained until then."""
    settings = _site(site)
    _backtest(settings, None, start, until, step, out, as_json=as_json)


@main.command()
@SITE
@click.option("--as-of", "as_of", help="With what was known strictly before this moment. Default: now.")
@click.option("--lots", help="A file with one lot_id a line, or - for standard input. Default: the open lots.")
@click.option("--reasons", "most", default=5, show_default=True, help="Reasons a lot at most.")
@OUT
@AS_JSON
def score(site: Path, as_of: str | None, lots: str | None, most: int, out: Path, as_json: bool) -> None:
    """Score lots: by default those produced and not shipped, with again_every also those at risk."""
    from features.output import check_ending, write_table

    settings = _site(site)
    check_ending(out)
    moment, now = _moment(as_of, settings), _now()
    if moment > now:
        raise SettingsError(f"--as-of {as_of}: lies in the future; nothing is known then. Give a past moment or none.")
    named = None if lots is None else _lot_ids(lots)
    table = _score(settings, _read(settings), named, moment, most)
    write_table(table, out)
    _result(as_json, {"out": str(out), "lots": table.num_rows, "model_version": _version(table)})


@main.command()
@SITE
@AS_JSON
def models(site: Path, as_json: bool) -> None:
    """List the registered versions, which is champion, and why each was or was not promoted."""
    from dataclasses import asdict

    from serving.registry import versions

    settings = _site(site)
    found = versions(settings.name, tracking_uri=settings.tracking_uri, state_dir=settings.state_dir)
    if as_json:
        _print_json([asdict(version) for version in found])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("version", "", "trained until", "log loss", "average precision", "why", title=settings.name)
    for version in found:
        figures = version.figures.get("model", {})
        mark = "champion" if version.champion else ""
        why = version.problem or " ".join(version.reasons)
        numbers = [_figure(figures, key) for key in ("log_loss", "average_precision")]
        table.add_row(version.number, mark, version.trained_until, *numbers, why)
    Console().print(table)


@main.command()
@SITE
@click.argument("version")
@click.option("--reason", default="", help="Why; kept with the version.")
def promote(site: Path, version: str, reason: str) -> None:
    """Make VERSION the champion, whatever the rule said of it."""
    from serving.registry import promote as run

    settings = _site(site)
    before = run(
        settings.name, version, tracking_uri=settings.tracking_uri, state_dir=settings.state_dir, reason=reason
    )
    click.echo(f"version {version} is champion" + (f" in place of {before}" if before else ""))


@main.command()
@SITE
def rollback(site: Path) -> None:
    """Make the version that the champion replaced the champion again."""
    from serving.registry import rollback as run

    settings = _site(site)
    version = run(settings.name, tracking_uri=settings.tracking_uri, state_dir=settings.state_dir)
    click.echo(f"version {version} is champion again")


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the factory.")
@click.option("--lots", default=4000, show_default=True, help="Lots the factory makes in three years.")
@click.option("--serve/--no-serve", default=True, help="Has no effect yet: the demo ends by itself.")
def demo(folder: Path, seed: int, lots: int, serve: bool) -> None:  # noqa: ARG001
    """Make a small factory on the spot, then check, train, backtest and score it."""
    from features.output import write_table
    from training import demo as show

    site = show.make(folder, seed=seed, lots=lots, now=_now())
    settings = _site(site)
    show.step(f"lotrisk check {site}")
    reading = _read(settings)
    _check(reading, settings)
    show.step(f"lotrisk train {site}")
    trained, _ = _train(settings, reading, until=_now(), seed=0, quiet=False)
    start, out = show.backtest_start(_now()), site / "backtest.csv"
    show.step(f"lotrisk backtest {site} --from {start} --step 180d --out {out}")
    _backtest(settings, reading, start, None, "180d", out, as_json=False)
    show.step("What each history adds")
    with _progress() as progress:
        show.ladder(trained, site, progress=progress)
    out = site / "scores.csv"
    show.step(f"lotrisk score {site} --out {out}")
    scores = _score(settings, reading, None, _now(), 5)
    write_table(scores, out)
    show.show_ranked(scores)


def _now() -> int:
    return time_ns() // 1000


def _site(folder: Path) -> "Site":
    from features.site import read_site

    return read_site(folder, os.environ)


def _moment(text: str | None, site: "Site") -> int:
    from features.times import read_moment

    if text is None:
        return _now()
    try:
        return read_moment(text, site.timezone)
    except ValueError as wrong:
        raise SettingsError(f"{text!r} is no moment ({wrong}); write 2026-03-01 or 2026-03-01T08:00:00Z") from None


def _read(site: "Site") -> "Reading":
    from features.reading import read_histories

    return read_histories(site, now=_now())


def _check(reading: "Reading", site: "Site") -> dict[str, Any]:
    from rich.console import Console

    from features.check import check_site
    from features.findings import render
    from features.quarantine import write_quarantine

    findings = check_site(reading, site)
    write_quarantine(
        {name: report.quarantine for name, report in reading.report.items()}, site.state_dir / "quarantine"
    )
    Console(stderr=True).print(render(findings))
    return findings


def _train(site: "Site", reading: "Reading", *, until: int, seed: int, quiet: bool) -> "tuple[Trained, bool]":
    from rich.console import Console

    from features.champion import read_scorer
    from serving.registry import promote as run
    from training.train import train as job

    with _progress() as progress:
        trained = job(
            site,
            reading.histories,
            until=until,
            champion=read_scorer(site.state_dir).bundle,
            seed=seed,
            progress=progress,
        )
    verdict = trained.verdict
    if verdict.promote:
        reason = " ".join(verdict.reasons)
        run(site.name, trained.version, tracking_uri=site.tracking_uri, state_dir=site.state_dir, reason=reason)
    if not quiet:
        console = Console()
        console.print(trained.table)
        shown = [f"{key.replace('_', ' ')} {value:.3g}" for key, value in trained.label.items()]
        console.print(f"judgements: {', '.join(shown)}")
        word = "promoted to champion" if verdict.promote else "not promoted"
        console.print(f"version {trained.version}, {trained.rounds} trees: {word}.", *verdict.reasons, *verdict.void)
    return trained, verdict.promote


def _backtest(
    site: "Site", reading: "Reading | None", start: str, until: str | None, step: str, out: Path, *, as_json: bool
) -> None:
    from features.output import check_ending, write_table
    from features.settings import duration
    from training.backtest import backtest as job

    check_ending(out)
    try:
        every = duration(step)
    except ValueError as wrong:
        raise SettingsError(f"--step {step}: {wrong}") from None
    first, last = _moment(start, site), _moment(until, site)
    histories = (reading or _read(site)).histories
    with _progress() as progress:
        table = job(histories, site.rules, start=first, until=last, step=every, progress=progress)
    write_table(table, out)
    labelled = table.num_rows - table["failed"].null_count
    facts = {"out": str(out), "judgements": table.num_rows, "labelled": labelled, "steps": _steps(table)}
    _result(as_json, facts)


def _score(site: "Site", reading: "Reading", lots: list[str] | None, as_of: int, most: int) -> Any:
    from features.champion import read_scorer
    from features.score import open_lots, score_lots

    scorer = read_scorer(site.state_dir)
    histories, rules = reading.histories, site.rules
    named = open_lots(histories, rules, as_of) if lots is None else lots
    with _progress() as progress:
        progress("score", 1, 1)
        table = score_lots(scorer, histories, rules, lots=named, as_of=as_of, language=site.language, most_reasons=most)
    return table if lots is not None else table.sort_by([("risk", "descending"), ("lot_id", "ascending")])


def _lot_ids(source: str) -> list[str]:
    """One lot_id a line, duplicates once, in order."""
    if source == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(source).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"--lots {source}: cannot be read ({error}); give a text file, one lot_id a line"
            ) from None
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _version(table: Any) -> str | None:
    return table["model_version"][0].as_py() if table.num_rows else None


def _steps(table: Any) -> dict[str, int]:
    """How many steps each kind of model scored."""
    models = dict(zip(table["trained_until"].to_pylist(), table["model"].to_pylist(), strict=True))
    return {name: list(models.values()).count(name) for name in sorted(set(models.values()))}


def _figure(figures: dict[str, Any], key: str) -> str:
    value, low, high = (figures.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else "")


def _result(as_json: bool, facts: dict[str, Any]) -> None:
    if as_json:
        _print_json(facts)
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in facts.items()))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows (what, done, of) on standard error: a bar on a terminal, a line at each new step elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        said: set[str] = set()

        def line(what: str, done: int, of: int) -> None:
            if what not in said or of > 1:
                console.print(f"{what} {done}/{of}" if of > 1 else what)
            said.add(what)

        yield line
        return
    with Progress(console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def bar(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done - 1, total=of)

        yield bar


if __name__ == "__main__":
    main()
