"""`lotrisk ingest`: stores what is new in the sources, and folds what arrived."""

import os
from dataclasses import asdict
from pathlib import Path
from time import time_ns

import click

from features.terminal import AS_JSON, SITE, print_json


@click.command()
@SITE
@AS_JSON
def ingest(site: Path, as_json: bool) -> None:
    """Store what is new in the sources, and fold the rows that arrived into segments.

    A row that was changed in place in its source is stored as a version that became known now; one that is gone from
    its source stays. A second run changes nothing. Segments lie in .lotrisk/segments.
    """
    from features.ingest import ingest as job
    from features.site import read_site
    from features.stored import open_store
    from serving.migrate import migrate

    settings = read_site(site, os.environ)
    migrate(settings.database_url)
    with open_store(settings) as store:
        found = job(store, settings, now=time_ns() // 1000)
    if as_json:
        print_json({"tables": [asdict(one) for one in found]})
        return
    for one in found:
        click.echo(f"{one.table}: {one.new:,} new, {one.changed:,} changed in place, {one.folded:,} folded")
