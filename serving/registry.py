"""Which version serves and which challenges it: the one place that moves the aliases `champion` and `challenger`.

Two places hold each of them: MLflow's alias, which other tools see, and a file of that name in `state_dir`, which this
service follows, so that it starts and scores with the registry gone. A promotion first does all that can fail (read the
bundle, ask the database, write the file aside), then moves the alias, then puts the file in its place inside the
transaction of the audit log's entry. Where that last step fails, or its commit, alias and file are moved back; where
the machine stops between the two, promoting the same version again mends and records it.

A version's tag `replaced` holds the champions before it, latest first, so that rolling back twice goes back twice.
A challenger that becomes champion is challenger no more; until that is written, nobody takes it for one.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.card import ModelCard, iso
from features.champion import CHALLENGER, CHAMPION
from features.errors import BundleRefused, LotRiskError, UnknownVersion
from features.output import write_text
from features.synced import sync
from serving.because import CHALLENGED, PROMOTED, keep, why
from serving.fetched import is_of, read_as
from serving.record import Record, recorded, said
from serving.take_over import take_over
from serving.tracking import aliased, client_of, existing, known, registered, told

if TYPE_CHECKING:
    from mlflow import MlflowClient

REMEMBERED = 100  # champions in the tag `replaced`; a registry's tag holds 5,000 characters


@dataclass(frozen=True)
class VersionInfo:
    """A registered version. What the card says is empty where `problem` says why there is no card."""

    number: str
    made_at: datetime
    champion: bool = False
    trained_until: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    promote: bool | None = None
    """Whether the champion rule was met when it was trained; `reasons` say why."""
    reasons: list[str] = field(default_factory=list)
    problem: str = ""
    challenger: bool = False
    promoted_because: str = ""
    challenged_because: str = ""


@told()
def versions(name: str, *, tracking_uri: str, state_dir: Path) -> list[VersionInfo]:
    """All versions of a site's model, the latest first."""
    client = client_of(tracking_uri, state_dir)
    champions, challengers = (aliased(client, name, alias) for alias in (CHAMPION, CHALLENGER))
    found = []
    for version in registered(client, name):
        made_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=version.creation_timestamp)
        number = str(version.version)
        marks: dict[str, Any] = {"champion": number == champions, "challenger": number == challengers}
        marks |= why(version.tags)
        try:
            card = _card(state_dir / "bundles" / number, version)
        except BundleRefused as refused:
            found.append(VersionInfo(number, made_at, problem=str(refused), **marks))
            continue
        found.append(
            VersionInfo(
                number,
                made_at,
                trained_until=iso(card.trained_until),
                figures=card.figures,
                promote=card.champion.get("promote"),
                reasons=list(card.champion.get("reasons", [])),
                **marks,
            )
        )
    return found


@told()
def promote(
    name: str, version: str, *, tracking_uri: str, state_dir: Path, record: Record, reason: str = ""
) -> str | None:
    """Make a version the champion; returns the one it replaced, None if there was none.

    Promoting the champion again changes nothing but mends `state_dir/champion`. A bundle that is not on this
    machine is taken from the registry. UnknownVersion, BundleRefused and, where it cannot be recorded,
    DatabaseUnreachable leave everything as it was.
    """
    client = client_of(tracking_uri, state_dir)
    known(client, name, version)
    present = aliased(client, name)
    tags: dict[str, str] = {}
    if present != version:
        replaced = [] if present is None else [present, *_replaced(client, name, present)]
        tags = {"replaced": " ".join(replaced[:REMEMBERED]), PROMOTED: reason}
    _move(client, name, version, present=present, state_dir=state_dir, tags=tags, reason=reason, record=record)
    _challenges_no_more(client, name, version, state_dir=state_dir, record=record)
    return None if present == version else present


@told()
def rollback(name: str, *, tracking_uri: str, state_dir: Path, record: Record) -> str:
    """Make the version that the champion replaced the champion again; returns its number.

    UnknownVersion when there is no champion or it replaced none.
    """
    client = client_of(tracking_uri, state_dir)
    present = aliased(client, name)
    if present is None:
        raise UnknownVersion(f"{name!r} has no champion to roll back from. {existing(client, name)}")
    earlier = _replaced(client, name, present)
    if not earlier:
        raise UnknownVersion(
            f"version {present} of {name!r} replaced no other: nothing to roll back to. "
            f"{existing(client, name)} Promote one of them."
        )
    known(client, name, earlier[0])
    reason = f"rolled back from version {present}"
    tags = {"replaced": " ".join(earlier[1:]), PROMOTED: reason}
    _move(client, name, earlier[0], present=present, state_dir=state_dir, tags=tags, reason=reason, record=record)
    _challenges_no_more(client, name, earlier[0], state_dir=state_dir, record=record)
    return earlier[0]


@told()
def challenge(
    name: str, version: str, *, tracking_uri: str, state_dir: Path, record: Record, reason: str = ""
) -> str | None:
    """Make a version the challenger; returns the one it replaced, None if there was none, or it was that one.

    LotRiskError for the champion, which cannot challenge itself; else as `promote`.
    """
    client = client_of(tracking_uri, state_dir)
    known(client, name, version)
    if version in (aliased(client, name), champion(state_dir)):
        raise LotRiskError(f"version {version} of {name!r} is the champion. Name another as its challenger.")
    present = aliased(client, name, CHALLENGER)
    tags = {} if present == version and not reason else {CHALLENGED: reason}
    how: dict[str, Any] = {"tags": tags, "reason": reason, "record": record, "alias": CHALLENGER}
    _move(client, name, version, present=present, state_dir=state_dir, **how)
    return None if present == version else present


@told()
def end_challenge(name: str, *, tracking_uri: str, state_dir: Path, record: Record) -> str | None:
    """No version is challenger any more; returns the one that was."""
    return _clear(client_of(tracking_uri, state_dir), name, state_dir=state_dir, reason="ended", record=record)


def champion(state_dir: Path) -> str | None:
    """The version that serves here, by `state_dir/champion`; None before the first promotion."""
    return said(state_dir, CHAMPION)


@told()
def follow(
    name: str,
    *,
    tracking_uri: str,
    state_dir: Path,
    record: Record,
    refused: dict[str, str] | None = None,
    alias: str = CHAMPION,
) -> str | None:
    """Take over the registry's champion (or challenger) where another is here; returns it, None: there is none.

    `refused`: empty at first; kept by the caller from call to call, one an alias. A bundle that was refused once is
    refused again without being fetched, until another version has the alias. Without a challenger there the one here
    goes too; a champion stays.
    """
    client = client_of(tracking_uri, state_dir)
    refused = {} if refused is None else refused
    number = aliased(client, name, alias)
    if number is None:
        if alias == CHALLENGER and (before := said(state_dir, alias)) is not None:
            record.check()
            with recorded(record, alias, None, before=before, state_dir=state_dir, reason="ended in the registry"):
                (state_dir / CHALLENGER).unlink()
        return None
    wanted = client.get_model_version(name, number)
    folder = state_dir / "bundles" / number
    if number != said(state_dir, alias) or not is_of(folder, wanted):
        key = f"{number} of {wanted.run_id}"
        if key in refused:
            raise BundleRefused(refused[key])
        refused.clear()
        reason = why(wanted.tags)[PROMOTED if alias == CHAMPION else CHALLENGED]
        try:
            take_over(client, name, number, state_dir=state_dir, reason=reason, record=record)
        except BundleRefused as fault:
            refused[key] = str(fault)
            raise
        read_as(folder, number)
        keep(state_dir, number, why(wanted.tags))
        before = said(state_dir, alias)
        if before != number:
            record.check()
            with recorded(record, alias, number, before=before, state_dir=state_dir, reason=reason):
                write_text(state_dir / alias, f"{number}\n")
    refused.clear()
    return number


def _move(
    client: "MlflowClient",
    name: str,
    version: str,
    *,
    present: str | None,
    state_dir: Path,
    tags: dict[str, str],
    reason: str,
    record: Record,
    alias: str = CHAMPION,
) -> None:
    """Alias, file and entry to `version`, all or none. `tags` are set before: they speak only of who has the alias."""
    read_as(take_over(client, name, version, state_dir=state_dir, reason=reason, record=record), version)
    before = said(state_dir, alias)
    if present == version == before and not tags:
        return
    record.check()
    aside = state_dir / f".{alias}-{os.getpid()}"
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(version + "\n")
            sync(file)
        for tag, text in tags.items():
            client.set_model_version_tag(name, version, tag, text)
        if tags:
            keep(state_dir, version, tags)
        client.set_registered_model_alias(name, alias, version)
        try:
            told: dict[str, Any] = {"before": before, "was": present, "state_dir": state_dir, "reason": reason}
            with recorded(record, alias, version, **told):
                aside.replace(state_dir / alias)
        except BaseException:
            if present is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, present)
            raise
    finally:
        aside.unlink(missing_ok=True)


def _challenges_no_more(client: "MlflowClient", name: str, version: str, *, state_dir: Path, record: Record) -> None:
    """Who has become champion is no challenger."""
    if version in (aliased(client, name, CHALLENGER), said(state_dir, CHALLENGER)):
        _clear(client, name, state_dir=state_dir, reason="became champion", record=record)


def _clear(client: "MlflowClient", name: str, *, state_dir: Path, reason: str, record: Record) -> str | None:
    """No challenger, by alias, file and entry, all or none; returns who had the alias."""
    present, before = aliased(client, name, CHALLENGER), said(state_dir, CHALLENGER)
    if present is None and before is None:
        return None
    record.check()
    if present is not None:
        client.delete_registered_model_alias(name, CHALLENGER)
    try:
        with recorded(record, CHALLENGER, None, before=before, was=present, state_dir=state_dir, reason=reason):
            (state_dir / CHALLENGER).unlink(missing_ok=True)
    except BaseException:
        if present is not None:
            client.set_registered_model_alias(name, CHALLENGER, present)
        raise
    return present


def _card(folder: Path, version: Any) -> ModelCard:
    if not is_of(folder, version):
        raise BundleRefused(f"no bundle of it in {folder}. Promoting the version looks for it in the registry.")
    return ModelCard.from_json((folder / "card.json").read_text(encoding="utf-8", errors="replace"))


def _replaced(client: "MlflowClient", name: str, version: str) -> list[str]:
    return str(client.get_model_version(name, version).tags.get("replaced", "")).split()
