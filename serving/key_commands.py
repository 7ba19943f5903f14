"""The commands about keys: make one, list them, rotate, revoke."""

import os
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

import click

from features.terminal import AS_JSON, SITE, console, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from features.site import Site

_MIB = 2**20


def _finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is no finite number above 0.")
    return value


_POSITIVE: dict[str, Any] = {"type": click.FloatRange(min=0, min_open=True), "callback": _finite}


@click.group()
def keys() -> None:
    """Who may ask the service: make keys, list them, rotate and revoke them."""


@keys.command()
@SITE
@click.option("--role", required=True, help="line, planner, engineer, quality or admin.")
@click.option("--name", required=True, help="Whose key it is; the audit log names it.")
@click.option("--expires", help="After so long it holds no more, like 90d. Default: never.")
@click.option("--calls-per-second", **_POSITIVE, help="Default: the site's limit.")
@click.option("--body-mib", **_POSITIVE, help="Of one call. Default: the service's limit.")
def create(
    site: Path, role: str, name: str, expires: str | None, calls_per_second: float | None, body_mib: float | None
) -> None:
    """Make a key and show it, this once: nobody keeps it."""
    from features.jobs import period
    from serving.actors import at_terminal
    from serving.keys import create as run

    now = time_ns() // 1000
    with _opened(site) as engine:
        key, text = run(
            engine,
            role=role,
            name=name,
            actor=at_terminal(),
            now=now,
            expires_at=None if expires is None else now + period("--expires", expires),
            calls_per_second=calls_per_second,
            body_bytes=None if body_mib is None else round(body_mib * _MIB),
        )
        _show(f"key {key.id} of {key.name}, {key.role}", text)


@keys.command(name="list")
@SITE
@AS_JSON
def list_keys(site: Path, as_json: bool) -> None:
    """List the keys: whose, what for, since and until when, last used, and whether they hold."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from serving.keys import keys_of

    with _opened(site) as engine:
        found = keys_of(engine)
    now = time_ns() // 1000
    told = [key.told(now) for key in found]
    if as_json:
        print_json(told)
        return
    table = Table("id", "name", "role", "created (UTC)", "expires", "last used", "state", box=SIMPLE_HEAD)
    for one in told:
        times = [(one[name] or "never")[:16].replace("T", " ") for name in ("created_at", "expires_at", "last_used_at")]
        table.add_row(one["id"], Text(one["name"]), one["role"], *times, one["state"])
    console().print(table)


@keys.command()
@SITE
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="1h", show_default=True, help="So long the old one still holds.")
def rotate(site: Path, key_id: str, overlap: str) -> None:
    """Make a key in place of ID with the same role and limits, and show it; ID expires after the overlap."""
    from features.jobs import period
    from serving.actors import at_terminal
    from serving.keys import rotate as run

    with _opened(site) as engine:
        now = time_ns() // 1000
        key, text = run(engine, key_id, overlap=period("--overlap", overlap), actor=at_terminal(), now=now)
        _show(f"key {key.id} in place of {key_id}, which expires within {overlap}", text)


@keys.command()
@SITE
@click.argument("key_id", metavar="ID")
@click.option("--reason", default="", help="Why; kept in the audit log.")
def revoke(site: Path, key_id: str, reason: str) -> None:
    """End ID at once: no worker takes it after two seconds, and sessions begun with it end."""
    from serving.actors import at_terminal
    from serving.keys import revoke as run

    with _opened(site) as engine:
        key = run(engine, key_id, reason=reason, actor=at_terminal(), now=time_ns() // 1000)
        click.echo(f"key {key.id} of {key.name} is revoked")


def _show(what: str, text: str) -> None:
    """As soon as it holds: whatever fails afterwards, somebody has seen it."""
    click.echo(f"{what}; it is shown this once:", err=True)
    click.echo(text)


@contextmanager
def _opened(folder: Path) -> "Iterator[sa.Engine]":
    """The site's database, brought up to date; what the command leaves is known to a service that starts without it."""
    from features.database import open_database
    from features.errors import LotRiskError
    from features.site import read_site
    from serving.known_keys import FILE, mirror, read_keys
    from serving.migrate import migrate

    site: Site = read_site(folder, os.environ)
    migrate(site.database_url)
    engine = open_database(site.database_url)
    try:
        yield engine
        try:
            mirror(site.state_dir, read_keys(engine))
        except (LotRiskError, OSError) as fault:
            why = " ".join(str(fault).split())
            click.echo(
                f"warning: a start without the database does not know this; {FILE} is as before: {why}", err=True
            )
    finally:
        engine.dispose()
