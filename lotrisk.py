"""The command line of lot-risk. Each command imports its job when it runs: `--help` answers at once."""

import os
import sys
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

import click

from features.errors import ContractViolation, SettingsError, SourceUnreachable
from features.terminal import AS_JSON, SITE, OneLineFaults, console, lot_ids, print_json, progress, result
from serving.audit_commands import audit
from serving.ingest_command import ingest
from serving.key_commands import keys
from serving.version_commands import challenge, models, promote, rollback
from training.compare_command import compare

if TYPE_CHECKING:
    from features.reading import Reading
    from features.site import Site
    from serving.monitor import Monitored
    from training.train import Trained

OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="A .csv or .parquet file.")


@click.group(cls=OneLineFaults, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lot-risk")
def main() -> None:
    """May this lot ship? Predicts each lot's risk of failing in the field from what was known at a moment.

    A SITE is a folder with a lotrisk.toml; `lotrisk init` writes one. Dates are the start of the day in the site's
    time zone; times may carry an offset.
    """


for _command in (audit, compare, ingest, keys, models, promote, challenge, rollback):
    main.add_command(_command)


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
    from features.jobs import check as job

    settings = _site(site)
    try:
        with progress() as show:
            show("read", 1, 1)
            reading = _read(settings)
    except (ContractViolation, SourceUnreachable) as unusable:
        if as_json:
            print_json({"site": settings.name, "ok": False, "error": str(unusable)})
        click.echo(f"lotrisk: {' '.join(str(unusable).split())}", err=True)
        sys.exit(1)
    findings = job(reading, settings, quiet=as_json)
    if as_json:
        print_json(findings)
    sys.exit(0 if findings["ok"] else 1)


@main.command()
@SITE
@click.option("--until", help="Learn only from what was known strictly before this moment. Default: now.")
@click.option("--ingested-by", help="Read only what had been stored strictly before this moment, as it was then.")
@click.option("--seed", default=0, show_default=True, help="Of the trees and the bootstrap.")
@click.option("--keep-apart", help="Evaluate a second time, with e.g. no supplier_lot both learned from and foretold.")
@AS_JSON
def train(
    site: Path, until: str | None, ingested_by: str | None, seed: int, keep_apart: str | None, as_json: bool
) -> None:
    """Train, evaluate and register a version; promote it if the rule allows."""
    settings = _site(site)
    if keep_apart is not None:
        from training.apart import asked_apart

        settings = asked_apart(settings, keep_apart)
    day = None if ingested_by is None else _moment(ingested_by, settings)
    reading, moment = _read(settings, ingested_by=day), _moment(until or ingested_by, settings)
    trained, promoted = _train(settings, reading, until=moment, seed=seed, quiet=as_json)
    if as_json:
        print_json({**trained.facts, "promoted": promoted})


@main.command()
@SITE
@click.option("--from", "start", required=True, help="Judgements from this moment on.")
@click.option("--until", help="Judgements before this moment, labels by what was known before it. Default: now.")
@click.option("--step", default="90d", show_default=True, help="A new model every so often.")
@OUT
@AS_JSON
def backtest(site: Path, start: str, until: str | None, step: str, out: Path, as_json: bool) -> None:
    """Score the past as it would have been scored then, by models trained until then."""
    from features.jobs import period
    from features.output import check_ending
    from training.backtest import backtest as job
    from training.backtest import write_backtest
    from training.recipe import Recipe

    settings = _site(site)
    check_ending(out)
    every = period("--step", step)
    first, last = _moment(start, settings), _moment(until, settings)
    histories = _read(settings).histories
    with progress() as show:
        recipe = Recipe.of(settings)
        table = job(histories, settings.rules, start=first, until=last, step=every, progress=show, recipe=recipe)
    result(as_json, write_backtest(table, out))


@main.command()
@SITE
@click.option("--as-of", "as_of", help="With what was known strictly before this moment. Default: now.")
@click.option("--lots", help="A file with one lot_id a line, or - for standard input. Default: the open lots.")
@click.option("--reasons", "most", default=5, show_default=True, help="Reasons a lot at most.")
@OUT
@AS_JSON
def score(site: Path, as_of: str | None, lots: str | None, most: int, out: Path, as_json: bool) -> None:
    """Score lots: by default those produced and not shipped, with again_every also those at risk."""
    from features.jobs import scores
    from features.output import check_ending, write_table

    settings = _site(site)
    check_ending(out)
    moment, now = _moment(as_of, settings), _now()
    if moment > now:
        raise SettingsError(f"--as-of {as_of}: lies in the future; nothing is known then. Give a past moment or none.")
    named = None if lots is None else lot_ids(lots)
    scorer, table = scores(_read(settings), settings, named, as_of=moment, most_reasons=most)
    write_table(table, out)
    result(as_json, {"out": str(out), "lots": table.num_rows, "model_version": scorer.version})


@main.command()
@SITE
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--restart", is_flag=True, help="Forget what an earlier run of this experiment has done.")
@AS_JSON
def experiment(site: Path, file: Path, restart: bool, as_json: bool) -> None:
    """Try what FILE names, compare it walking forward, and register the winner as a version.

    FILE is a TOML file: a search space, label treatments, what to leave out, seeds. A run that was interrupted goes on.
    """
    from features.champion import read_scorer
    from features.proof import proof_of
    from training.experiment import experiment as job
    from training.experiment_file import read_experiment
    from training.pinned import alone, folder_of

    settings, (name, asked) = _site(site), read_experiment(file)
    champion, reading = read_scorer(settings.state_dir).bundle, _read(settings)
    with progress() as show, alone(folder_of(settings, name)):
        found = job(
            settings,
            reading.histories,
            name,
            asked,
            until=_moment(asked.experiment.until, settings),
            stated=asked.experiment.until is not None,
            champion=champion,
            restart=restart,
            stored=proof_of(settings, reading.stored),
            progress=show,
        )
    if as_json:
        print_json(found.facts)
        return
    console().print(*found.tables, sep="\n")
    click.echo("\n".join(found.told(site)))


@main.command()
@SITE
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
def serve(site: Path, host: str, port: int, workers: int) -> None:
    """Serve scores, lists and pages until told to end."""
    from serving.run import serve as run

    run(_site(site), host=host, port=port, workers=workers)


@main.command()
@SITE
@click.option("--out", type=click.Path(path_type=Path), help="A folder that gets copies of what is written.")
@AS_JSON
def monitor(site: Path, out: Path | None, as_json: bool) -> None:
    """Compare logged scores with training (drift) and with what came of the lots (performance).

    Writes drift.json, performance.json and drift.html into .lotrisk/reports; the service shows them.
    """
    settings = _site(site)
    found = _monitor(settings, _read(settings), out)
    if as_json:
        print_json({"drift": found.drift, "performance": found.performance, "written": found.written})
        return
    click.echo("\n".join([*found.told, *(f"wrote {path}" for path in found.written)]))


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the factory.")
@click.option("--lots", default=4000, type=click.IntRange(100), show_default=True, help="Lots in three years.")
@click.option("--serve/--no-serve", default=True, help="End with the running service, or after the scores.")
def demo(folder: Path, seed: int, lots: int, serve: bool) -> None:
    """Make a small factory on the spot, then check, train, backtest, score and serve it until Ctrl-C."""
    from training import demo as demo_of

    site = demo_of.make(folder, seed=seed, lots=lots, now=_now())
    settings = _site(site)
    reading = _read(settings)
    demo_of.checked(site, settings, reading)
    demo_of.step(f"lotrisk train {site}")
    trained, promoted = _train(settings, reading, until=_now(), seed=0, quiet=False)
    riskiest = demo_of.judged(site, settings, reading, trained, now=_now())
    demo_of.say_what_scores(site, promoted=promoted)
    if serve:
        from serving.run import serve as run

        with demo_of.told_when_ready(site, riskiest) as port:
            run(settings, host=demo_of.HOST, port=port, workers=1)


def _now() -> int:
    return time_ns() // 1000


def _site(folder: Path) -> "Site":
    from features.site import read_site

    return read_site(folder, os.environ)


def _moment(text: str | None, site: "Site") -> int:
    from features.jobs import moment

    return _now() if text is None else moment(text, site)


def _read(site: "Site", *, ingested_by: int | None = None) -> "Reading":
    from features.reading import read_histories

    return read_histories(site, now=_now(), ingested_by=ingested_by)


def _train(site: "Site", reading: "Reading", *, until: int, seed: int, quiet: bool) -> "tuple[Trained, bool]":
    from features.champion import read_scorer
    from features.proof import proof_of
    from serving.actors import at_terminal
    from serving.record import Record
    from serving.registry import promote as run
    from training.recipe import Recipe
    from training.train import train as job

    champion, recipe = read_scorer(site.state_dir).bundle, Recipe.of(site, seed=seed)
    with progress() as show:
        stored, told = proof_of(site, reading.stored), reading.histories
        trained = job(site, told, until=until, champion=champion, recipe=recipe, stored=stored, progress=show)
    verdict = trained.verdict
    if verdict.promote:
        reason = " ".join([*verdict.reasons, *verdict.void])
        record = Record(site.database_url, at_terminal(), _now())
        where: dict[str, Any] = {"tracking_uri": site.tracking_uri, "state_dir": site.state_dir, "record": record}
        run(site.name, trained.version, reason=reason, **where)
    if not quiet:
        console().print(trained.table, *trained.told, sep="\n")
    return trained, verdict.promote


def _monitor(site: "Site", reading: "Reading", out: Path | None) -> "Monitored":
    """Labels come from training, scores from the log: here they meet."""
    from serving.monitor import monitor_site
    from serving.performance import Judged
    from training.known import known_by

    now = _now()
    known = known_by(reading.histories, site.rules, until=now)
    lots, labels, judged = known.histories.ids["lot"], known.labels, known.judgements
    outcome = Judged(lots, judged.lot, judged.as_of, labels.failed, labels.mature, labels.cut)
    return monitor_site(site, outcome, now=now, out=out)


if __name__ == "__main__":
    main()
