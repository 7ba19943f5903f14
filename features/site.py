"""A site: a folder with a `lotrisk.toml`, read once at the edge and passed on."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from features.asof import DAY, HOUR, MINUTE
from features.errors import SettingsError
from features.gate_settings import GateSettings
from features.period import duration, nearest
from features.rules import Costs, DecisionRule, LabelRule, ModelRule, Rules
from features.settings import TREATMENT, DecisionSettings, LabelSettings, Settings, Source, fault
from features.times import read_moment

FILE = "lotrisk.toml"

# What a site is called and where it keeps what it made: a child that inherited them would overwrite its parent.
_OWN = ("name", "state_dir", "database")
# Settings that say the same thing in different ways: stating one drops what was inherited of the others.
_WAYS = ({"path", "sheet", "encoding", "delimiter"}, {"query", "database"})
_LABEL_WAYS = ({"from"}, {"returned_ppm", "within_days"})


@dataclass(frozen=True)
class Site:
    """Everything a job has to know about one site. Paths are absolute, times microseconds UTC."""

    name: str
    folder: Path
    state_dir: Path
    timezone: str
    data: tuple[Path, ...]
    language: str
    rules: Rules
    tables: Mapping[str, Source]
    """Sources of the tables the settings speak of; the others are looked for in `data`."""
    prelude: str
    databases: Mapping[str, str] = field(repr=False)
    database_url: str = field(repr=False)
    """The SQL database of what the service makes."""
    tracking_uri: str = field(repr=False)
    defaults: tuple[str, ...] = ()
    """Costs that nobody stated."""
    refresh_every: int = MINUTE
    rescore_every: int = HOUR
    stale: Mapping[str, int] = field(default_factory=dict)
    """By table, the age in microseconds from which it is stale."""
    model: ModelRule = field(default_factory=ModelRule)
    calls_per_second: float = 1000
    """That one key may make, unless it says otherwise."""
    gate: GateSettings = field(default_factory=GateSettings)


def read_site(folder: Path, environ: Mapping[str, str]) -> Site:
    """Reads `folder`/lotrisk.toml and what it extends; SettingsError says in one line what is wrong."""
    folder = folder.absolute()
    file = folder / FILE
    stated = _read_chain(file, ())
    settings = _validated(stated, file)
    state_dir = Path(os.path.normpath(folder / settings.site.state_dir))
    if override := environ.get("LOTRISK_DATA"):
        data = [str(Path(part).absolute()) for part in override.split(os.pathsep)]
    else:
        data = [settings.site.data] if isinstance(settings.site.data, str) else settings.site.data
    for name, source in settings.tables.items():
        if source.database is not None and source.database not in settings.databases:
            raise SettingsError(
                f"{file}: tables.{name}.database names {source.database}, which is not under [databases]"
                f"{nearest(source.database, settings.databases) if settings.databases else '; add it there'}"
            )
    own = settings.site.database
    return Site(
        name=settings.site.name or folder.name,
        folder=folder,
        state_dir=state_dir,
        timezone=settings.site.timezone,
        data=tuple(Path(part) for part in data),
        language=settings.site.language,
        rules=_rules(settings, file),
        tables=settings.tables,
        prelude=settings.sql.prelude,
        databases={name: _filled(url, environ, file) for name, url in settings.databases.items()},
        database_url=_filled(own, environ, file) if own else f"sqlite:///{state_dir / 'lotrisk.db'}",
        tracking_uri=environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state_dir / 'mlflow.db'}",
        defaults=tuple(
            name
            for name in DecisionSettings.model_fields
            if name.startswith("cost_") and name not in settings.decision.model_fields_set
        ),
        refresh_every=duration(settings.serving.refresh_every),
        rescore_every=duration(settings.serving.rescore_every),
        stale=settings.serving.stale,
        calls_per_second=settings.serving.calls_per_second,
        model=ModelRule(
            tuple(settings.model.groups),
            settings.model.parameters,
            settings.model.boosters,
            settings.model.keep_apart,
            tuple(settings.model.protected),
        ),
        gate=settings.gate,
    )


def _read_chain(file: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    """The file's settings over those of what it extends, each with its own relative paths resolved."""
    if file in children:
        raise SettingsError(f"{children[0]}: extends leads back to {file}; take one `extends` out")
    stated = _parse(file)
    site = _validated(stated, file).site
    if site.extends is None:
        inherited: dict[str, Any] = {"site": {"data": Settings().site.data}}
        _resolve(inherited, file.parent)
    else:
        parent = Path(os.path.normpath(file.parent / site.extends))
        inherited = _read_chain(parent if parent.suffix == ".toml" else parent / FILE, (*children, file))
        for name in _OWN:
            inherited.get("site", {}).pop(name, None)
    _resolve(stated, file.parent)
    return _merged(inherited, stated)


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{file}: no such file; `lotrisk init {file.parent}` writes a commented one") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from None


def _validated(stated: dict[str, Any], file: Path) -> Settings:
    try:
        settings = Settings.model_validate(stated)
    except ValidationError as error:
        raise SettingsError(f"{file}: {fault(error)}") from None
    try:
        ZoneInfo(settings.site.timezone)
    except (OSError, KeyError, ValueError):
        raise SettingsError(
            f'{file}: site.timezone: "{settings.site.timezone}" is not an IANA time zone like "Europe/Ljubljana"'
        ) from None
    if settings.label.source == "outcomes" and "again_every" in stated.get("decision", {}):
        raise SettingsError(f'{file}: decision.again_every has no meaning with label.from = "outcomes"; take it out')
    return settings


def _resolve(stated: dict[str, Any], folder: Path) -> None:
    """Makes the relative paths of one file absolute, in place."""
    site = stated.get("site", {})
    if "data" in site:
        parts = [site["data"]] if isinstance(site["data"], str) else site["data"]
        site["data"] = [os.path.normpath(folder / part) for part in parts]
    if "database" in site:
        site["database"] = _beside(site["database"], folder)
    for source in stated.get("tables", {}).values():
        # A path that is nowhere beside the file stays relative and is looked for in `data`.
        if "path" in source and (list(folder.glob(source["path"])) if _relative(source["path"]) else False):
            source["path"] = os.path.normpath(folder / source["path"])
    databases = stated.get("databases", {})
    for name, url in databases.items():
        databases[name] = _beside(url, folder)


def _relative(path: str) -> bool:
    return not Path(path).is_absolute()


def _beside(url: str, folder: Path) -> str:
    """A SQLite URL with a relative file made absolute; any other as it is."""
    found = re.fullmatch(r"(sqlite(?:\+\w+)?):///([^/:$?].*)", url)
    return f"{found[1]}:///{folder / found[2]}" if found else url


def _merged(inherited: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    for name, source in stated.get("tables", {}).items():
        _drop_other_ways(inherited.get("tables", {}).get(name, {}), source, _WAYS)
    label = stated.get("label", {})
    _drop_other_ways(inherited.get("label", {}), label, _LABEL_WAYS)
    if label.get("from") == "outcomes":
        inherited.get("decision", {}).pop("again_every", None)
        inherited.get("label", {}).pop("treatment", None)
    return _over(inherited, stated)


def _drop_other_ways(inherited: dict[str, Any], stated: dict[str, Any], ways: tuple[set[str], ...]) -> None:
    for way in ways:
        if way & stated.keys():
            for name in set().union(*ways) - way:
                inherited.pop(name, None)


def _over(inherited: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    both = dict(inherited)
    for name, value in stated.items():
        old = both.get(name)
        both[name] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def _filled(url: str, environ: Mapping[str, str], file: Path) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise SettingsError(f"{file}: a database URL needs ${{{found[1]}}}; set it in the environment")
        # In the place of a password, characters that mean something in a URL are written so that they do not.
        secret = url[: found.start()].endswith(":") and url[found.end() :].startswith("@")
        return quote(environ[found[1]], safe="") if secret else environ[found[1]]

    return re.sub(r"\$\{(\w+)\}", value, url)


def _rules(settings: Settings, file: Path) -> Rules:
    label, decision = settings.label, settings.decision
    costs = Costs(
        decision.cost_of_inspection, decision.cost_of_escape, decision.cost_of_escape_per_unit, decision.cost_of_hold
    )
    tiers = {}
    for name, stated in decision.tier.items():
        pairs = (
            (stated.cost_of_inspection, costs.inspection),
            (stated.cost_of_escape, costs.escape),
            (stated.cost_of_escape_per_unit, costs.escape_per_unit),
            (stated.cost_of_hold, costs.hold),
        )
        tiers[name] = Costs(*(default if own is None else own for own, default in pairs))
    return Rules(
        label=_label_rule(label, file),
        decision=DecisionRule(
            at=decision.at,
            again_every=None if decision.again_every is None else duration(decision.again_every),
            until_age=round(decision.until_age_days * DAY),
            min_units=decision.min_units,
            costs=costs,
            inspection_finds=decision.inspection_finds,
            inspections_per_day=decision.inspections_per_day,
            tiers=tiers,
            explore_share=decision.explore_share,
            explore_band=decision.explore_band,
            certify=decision.certify,
            confidence=decision.confidence,
        ),
        known_until=_moment(settings.site.known_until, settings.site.timezone, file),
    )


def _label_rule(label: LabelSettings, file: Path) -> LabelRule:
    reporting = round(label.reporting_days * DAY)
    if label.source == "outcomes":
        return LabelRule("outcomes", 0.0, 0, reporting)
    if label.returned_ppm is None or label.within_days is None:
        missing = "returned_ppm" if label.returned_ppm is None else "within_days"
        raise SettingsError(
            f'{file}: label.{missing} is missing; state returned_ppm and within_days, or from = "outcomes"'
        )
    within, treatment = round(label.within_days * DAY), label.treatment or TREATMENT
    return LabelRule("returns", label.returned_ppm, within, reporting, treatment)


def _moment(stated: datetime | date | str | None, timezone: str, file: Path) -> int | None:
    try:
        return None if stated is None else read_moment(str(stated), timezone)
    except ValueError as error:
        raise SettingsError(f"{file}: site.known_until: {error}") from None
