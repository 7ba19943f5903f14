"""Which version serves and which challenges it: the one place that moves the aliases `champion` and `challenger`.

Two places hold each of them: MLflow's alias, which other tools see, and a file of that name in `state_dir`, which this
service follows, so that it starts and scores with the registry gone. A promotion first does all that can fail (read the
bundle, write the file aside), then moves the alias, then puts the file in its place. Where that last step fails the
alias is moved back; where the machine stops between the two, promoting the same version again mends it.

A version's tag `replaced` holds the champions before it, latest first, so that rolling back twice goes back twice.
A challenger that becomes champion is challenger no more; until that is written, nobody takes it for one.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from features.card import ModelCard, iso
from features.champion import CHALLENGER, CHAMPION
from features.errors import BundleRefused, LotRiskError, UnknownVersion
from features.output import write_text
from serving.because import CHALLENGED, PROMOTED, keep, why
from serving.fetched import fetch, is_of, read_as
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


def versions_table(name: str, found: "list[VersionInfo]") -> Group:
    """The versions for reading, with the figures they were judged by, and below what was said of each."""
    table = Table("version", "", "trained until (UTC)", "log loss", "average precision", title=name, box=SIMPLE_HEAD)
    for version in found:
        figures = version.figures.get("model", {})
        mark = "champion" if version.champion else "challenger" if version.challenger else ""
        numbers = [_figure(figures, key) for key in ("log_loss", "average_precision")]
        table.add_row(version.number, mark, version.trained_until[:16].replace("T", " "), *numbers)
    return Group(table, *(_told(version) for version in found))


@told()
def promote(name: str, version: str, *, tracking_uri: str, state_dir: Path, reason: str = "") -> str | None:
    """Make a version the champion; returns the one it replaced, None if there was none.

    Promoting the champion again changes nothing but mends `state_dir/champion`. A bundle that is not on this
    machine is taken from the registry. UnknownVersion and BundleRefused leave everything as it was.
    """
    client = client_of(tracking_uri, state_dir)
    known(client, name, version)
    present = aliased(client, name)
    tags: dict[str, str] = {}
    if present != version:
        replaced = [] if present is None else [present, *_replaced(client, name, present)]
        tags = {"replaced": " ".join(replaced[:REMEMBERED]), PROMOTED: reason}
    _move(client, name, version, present=present, state_dir=state_dir, tags=tags)
    _challenges_no_more(client, name, version, state_dir=state_dir)
    return None if present == version else present


@told()
def rollback(name: str, *, tracking_uri: str, state_dir: Path) -> str:
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
    tags = {"replaced": " ".join(earlier[1:]), PROMOTED: f"rolled back from version {present}"}
    _move(client, name, earlier[0], present=present, state_dir=state_dir, tags=tags)
    _challenges_no_more(client, name, earlier[0], state_dir=state_dir)
    return earlier[0]


@told()
def challenge(name: str, version: str, *, tracking_uri: str, state_dir: Path, reason: str = "") -> str | None:
    """Make a version the challenger; returns the one it replaced, None if there was none, or it was that one.

    LotRiskError for the champion, which cannot challenge itself; else as `promote`.
    """
    client = client_of(tracking_uri, state_dir)
    known(client, name, version)
    if version in (aliased(client, name), champion(state_dir)):
        raise LotRiskError(f"version {version} of {name!r} is the champion. Name another as its challenger.")
    present = aliased(client, name, CHALLENGER)
    tags = {} if present == version and not reason else {CHALLENGED: reason}
    _move(client, name, version, present=present, state_dir=state_dir, tags=tags, alias=CHALLENGER)
    return None if present == version else present


@told()
def end_challenge(name: str, *, tracking_uri: str, state_dir: Path) -> str | None:
    """No version is challenger any more; returns the one that was."""
    return _clear(client_of(tracking_uri, state_dir), name, state_dir=state_dir)


def champion(state_dir: Path) -> str | None:
    """The version that serves here, by `state_dir/champion`; None before the first promotion."""
    return _said(state_dir, CHAMPION)


@told()
def follow(
    name: str, *, tracking_uri: str, state_dir: Path, refused: dict[str, str] | None = None, alias: str = CHAMPION
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
        if alias == CHALLENGER:
            (state_dir / CHALLENGER).unlink(missing_ok=True)
        return None
    wanted = client.get_model_version(name, number)
    folder = state_dir / "bundles" / number
    if number != _said(state_dir, alias) or not is_of(folder, wanted):
        key = f"{number} of {wanted.run_id}"
        if key in refused:
            raise BundleRefused(refused[key])
        refused.clear()
        try:
            fetch(client, name, number, state_dir=state_dir)
        except BundleRefused as fault:
            refused[key] = str(fault)
            raise
        read_as(folder, number)
        keep(state_dir, number, why(wanted.tags))
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
    alias: str = CHAMPION,
) -> None:
    """Alias and file to `version`, both or none. `tags` are set before: they speak only of who has the alias."""
    folder = fetch(client, name, version, state_dir=state_dir)
    read_as(folder, version)
    aside = state_dir / f".{alias}-{os.getpid()}"
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(version + "\n")
            file.flush()
            os.fsync(file.fileno())
        for tag, said in tags.items():
            client.set_model_version_tag(name, version, tag, said)
        if tags:
            keep(state_dir, version, tags)
        client.set_registered_model_alias(name, alias, version)
        try:
            aside.replace(state_dir / alias)
        except OSError:
            if present is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, present)
            raise
    finally:
        aside.unlink(missing_ok=True)


def _challenges_no_more(client: "MlflowClient", name: str, version: str, *, state_dir: Path) -> None:
    """Who has become champion is no challenger."""
    if version in (aliased(client, name, CHALLENGER), _said(state_dir, CHALLENGER)):
        _clear(client, name, state_dir=state_dir)


def _clear(client: "MlflowClient", name: str, *, state_dir: Path) -> str | None:
    """No challenger, by alias and file, both or none; returns who had the alias."""
    present = aliased(client, name, CHALLENGER)
    if present is not None:
        client.delete_registered_model_alias(name, CHALLENGER)
    try:
        (state_dir / CHALLENGER).unlink(missing_ok=True)
    except OSError:
        if present is not None:
            client.set_registered_model_alias(name, CHALLENGER, present)
        raise
    return present


def _said(state_dir: Path, alias: str) -> str | None:
    """The version in the alias' file."""
    try:
        return (state_dir / alias).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _card(folder: Path, version: Any) -> ModelCard:
    if not is_of(folder, version):
        raise BundleRefused(f"no bundle of it in {folder}. Promoting the version looks for it in the registry.")
    return ModelCard.from_json((folder / "card.json").read_text(encoding="utf-8", errors="replace"))


def _replaced(client: "MlflowClient", name: str, version: str) -> list[str]:
    return str(client.get_model_version(name, version).tags.get("replaced", "")).split()


def _told(version: VersionInfo) -> Text:
    """A version's problem or what the rule said of it, and why it was promoted and challenged."""
    said = [version.problem] if version.problem else version.reasons
    given = {"Promoted": version.promoted_because, "Challenger": version.challenged_because}
    other = [f"{what}: {reason}" for what, reason in given.items() if reason and reason != " ".join(said)]
    return Text("\n- ".join([f"version {version.number}", *said, *other]))


def _figure(figures: dict[str, Any], key: str) -> str:
    """A stored figure with its interval, in words."""
    value, low, high = (figures.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else "")
