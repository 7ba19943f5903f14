"""The command that compares two versions; its job is imported when it runs."""

import os
from pathlib import Path

import click

from features.terminal import AS_JSON, SITE, print_json


@click.command()
@SITE
@click.argument("first")
@click.argument("second")
@AS_JSON
def compare(site: Path, first: str, second: str, as_json: bool) -> None:
    """Say whether two versions differ beyond noise, on the lots that both scored before their time."""
    from features.site import read_site
    from training.compare import compare as job

    found = job(read_site(site, os.environ), first, second)
    if as_json:
        print_json(found.facts)
        return
    click.echo("\n".join(found.lines))
