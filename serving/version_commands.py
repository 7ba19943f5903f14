"""The commands about versions: list them, promote one, try one beside the champion, go back."""

import os
from pathlib import Path
from time import time_ns
from typing import Any

import click

from features.terminal import AS_JSON, SITE, console, print_json

REASON = click.option("--reason", default="", help="Why; kept with the version.")


@click.command()
@SITE
@AS_JSON
def models(site: Path, as_json: bool) -> None:
    """List the registered versions, which is champion and which challenger, and why."""
    from dataclasses import asdict

    from serving.registry import versions
    from serving.versions_table import versions_table

    name, where = _registry(site)
    del where["record"]
    found = versions(name, **where)
    if as_json:
        print_json([asdict(version) for version in found])
        return
    console().print(versions_table(name, found))


@click.command()
@SITE
@click.argument("version")
@REASON
def promote(site: Path, version: str, reason: str) -> None:
    """Make VERSION the champion, whatever the rule said of it."""
    from serving.registry import promote as run

    name, where = _registry(site)
    before = run(name, version, reason=reason, **where)
    click.echo(f"version {version} is champion" + (f" in place of {before}" if before else ""))


@click.command()
@SITE
@click.argument("version", required=False)
@click.option("--none", "ended", is_flag=True, help="No version challenges any more.")
@REASON
def challenge(site: Path, version: str | None, ended: bool, reason: str) -> None:
    """Try VERSION beside the champion: it scores what is answered, is logged and compared, and answers nobody."""
    from serving.registry import challenge as run
    from serving.registry import end_challenge

    if (version is None) != ended:
        raise click.UsageError("Give a VERSION, or --none to end the trial.")
    name, where = _registry(site)
    if version is None:
        before = end_challenge(name, **where)
        click.echo(f"version {before} challenges no more" if before else "there was no challenger")
        return
    before = run(name, version, reason=reason, **where)
    click.echo(f"version {version} is challenger" + (f" in place of {before}" if before else ""))


@click.command()
@SITE
def rollback(site: Path) -> None:
    """Make the version that the champion replaced the champion again."""
    from serving.registry import rollback as run

    name, where = _registry(site)
    click.echo(f"version {run(name, **where)} is champion again")


def _registry(folder: Path) -> tuple[str, dict[str, Any]]:
    """A site's name there, where it is, and what a promotion is recorded with."""
    from features.site import read_site
    from serving.actors import at_terminal
    from serving.record import Record

    site = read_site(folder, os.environ)
    record = Record(site.database_url, at_terminal(), time_ns() // 1000)
    return site.name, {"tracking_uri": site.tracking_uri, "state_dir": site.state_dir, "record": record}
