"""The commands about the audit log: is it what was written, what does it say, its head, and erasing a text."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING

import click

from features.period import nearest
from features.terminal import AS_JSON, SITE, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from features.site import Site
    from serving.audit_check import Checked
    from serving.heads import Head


@click.group()
def audit() -> None:
    """Verify the audit log, show it, keep its head, erase a text from it."""


@audit.command()
@SITE
@click.option("--head", "kept", type=click.Path(path_type=Path), help="Heads kept elsewhere, one a line.")
@AS_JSON
def verify(site: Path, kept: Path | None, as_json: bool) -> None:
    """Name every entry that was changed, removed, inserted or moved; exit 1 where there is any.

    A cut tail and a chain that was written anew show only against heads that were kept: those in .lotrisk/audit, and
    those in --head.
    """
    from dataclasses import asdict

    from serving.audit_check import check_audit

    with _opened(site) as (settings, engine):
        checked = check_audit(engine, settings.state_dir, kept=_heads(kept))
    if as_json:
        print_json({"good": checked.good, **asdict(checked)})
    else:
        click.echo("\n".join(_told(checked)))
    sys.exit(0 if checked.good else 1)


@audit.command()
@SITE
@click.option("--kind", help="Only entries of this kind.")
@click.option("--since", type=click.IntRange(0), default=0, help="Only entries after this number.")
@AS_JSON
def show(site: Path, kind: str | None, since: int, as_json: bool) -> None:
    """List the entries, one a line: number, time, kind, who, what. With --json one JSON object a line."""
    from features.card import iso
    from serving.audit import KINDS, body_text, entries

    if kind is not None and kind not in KINDS:
        raise click.BadParameter(f"{kind} is no kind of entry{nearest(kind, KINDS)}", param_hint="--kind")
    with _opened(site) as (_, engine):
        for entry in entries(engine, kind=kind, since=since):
            if as_json:
                said = {"seq": entry.seq, "at": iso(entry.at), "kind": entry.kind, "actor": entry.actor}
                said |= {"body": entry.body, "previous": entry.previous, "hash": entry.hash}
                click.echo(json.dumps(said, ensure_ascii=False))
            else:
                click.echo(f"{entry.seq}  {iso(entry.at)}  {entry.kind}  {entry.actor}  {body_text(entry.body)}")


@audit.command()
@SITE
@click.argument("audit_id")
@AS_JSON
def replay(site: Path, audit_id: str, as_json: bool) -> None:
    """Make a decision of the gate once more from what it stood on; exit 1 where it does not come out the same."""
    from dataclasses import asdict

    from serving.replay import replay as job
    from serving.replay import told

    with _opened(site) as (settings, engine):
        replayed = job(settings, engine, audit_id)
    if as_json:
        print_json({"same": replayed.same, **asdict(replayed)})
    else:
        click.echo("\n".join(told(replayed)))
    sys.exit(0 if replayed.same else 1)


@audit.command()
@SITE
@click.option("--out", type=click.Path(path_type=Path), help="Add it to this file instead of printing it.")
def head(site: Path, out: Path | None) -> None:
    """The number and hash of the last entry as a line of JSON, to be kept out of reach of who has the log."""
    from features.errors import LotRiskError
    from serving.heads import head_of

    with _opened(site) as (settings, engine):
        found = head_of(engine)
    if found is None:
        raise LotRiskError(f"{settings.name}: the audit log is empty yet; there is no head to keep")
    if out is None:
        click.echo(found.line)
        return
    with out.open("a", encoding="utf-8") as file:
        file.write(f"{found.line}\n")
    click.echo(f"added the head of entry {found.seq} to {out}")


@audit.command()
@SITE
@click.option("--table", required=True, type=click.Choice(["returns", "surveys", "actions"]))
@click.option(
    "--key", required=True, help="Of the row: a return_id, an action_id; of surveys its parts with / between."
)
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@AS_JSON
def erase(site: Path, table: str, key: str, reason: str, as_json: bool) -> None:
    """Erase what a customer wrote: nobody can tell any more what the log's hash of it is of."""
    from features.stored import Store
    from serving.actors import at_terminal
    from serving.erasure import NOT_REACHED
    from serving.erasure import erase as run

    with _opened(site) as (settings, engine):
        done = run(
            Store(settings, engine), table=table, key=key, reason=reason, actor=at_terminal(), at=time_ns() // 1000
        )
    if as_json:
        print_json({**done, "not_reached": NOT_REACHED})
        return
    click.echo(
        f"erased: {done['salts']} salts, text of {done['rows']} rows not folded, {done['digests']} hashes of rows with "
        f"their text; entry {done['audit_id']} says so"
    )
    click.echo(NOT_REACHED)


@contextmanager
def _opened(folder: Path) -> "Iterator[tuple[Site, sa.Engine]]":
    from features.database import open_database
    from features.site import read_site

    site = read_site(folder, os.environ)
    engine = open_database(site.database_url)
    try:
        yield site, engine
    finally:
        engine.dispose()


def _heads(file: Path | None) -> "list[Head]":
    from features.errors import LotRiskError
    from serving.heads import read_heads

    if file is None:
        return []
    found = []
    for line, kept in read_heads(file, ended=False):
        if kept is None:
            raise LotRiskError(f"{file}: line {line} is no head; name a file that `lotrisk audit head` wrote")
        found.append(kept)
    if not found:
        raise LotRiskError(f"{file}: has no head in it; name a file that `lotrisk audit head` wrote")
    return found


def _told(checked: "Checked") -> list[str]:
    if checked.good:
        return [
            f"good: {checked.entries} entries, hashes, links, order and guards; {checked.heads} kept heads and "
            f"{checked.salts} salts agree"
        ]
    lines = [f"{one.kind}{'' if one.seq is None else f' {one.seq}'}: {one.detail}" for one in checked.damage]
    return [*lines, *([f"… and {checked.more} more"] if checked.more else []), "damaged"]
