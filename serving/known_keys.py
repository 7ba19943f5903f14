"""The keys that a worker knows: read from the database about every second, in a thread of its own.

With the database gone what was known goes on to hold; the file `serving/keys.json` in `state_dir` has it for a start
without one, also that there are none. It holds hashes, never secrets. Where neither can be read nobody may ask.
"""

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa

from features.asof import MINUTE, before, within
from features.database import open_database, reached, writing
from features.errors import DatabaseUnreachable, LotRiskError, SettingsError
from features.site import Site
from features.synced import sync
from serving.migrate import migrate
from serving.repeated import Repeated
from serving.tables import AUDIT, KEYS

log = logging.getLogger(__name__)

FILE = Path("serving") / "keys.json"
EVERY = 1.0  # seconds between two looks
_FIELDS = ("id", "name", "role", "hash", "expires_at", "revoked_at", "calls_per_second", "body_bytes")


@dataclass(frozen=True)
class Known:
    """What is needed to tell a caller."""

    id: str
    name: str
    role: str
    hash: str
    expires_at: int | None
    revoked_at: int | None
    calls_per_second: float | None
    body_bytes: int | None

    def usable(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or before(now, self.expires_at))


Keys = Mapping[str, Known]


class KnownKeys:
    """`now`: the keys by id, those that no longer hold too. `lost`: why there may have been some though none is known,
    "": none was ever made here.
    """

    def __init__(self, site: Site, engine: sa.Engine) -> None:
        self._site, self._engine = site, engine
        self._repeated = Repeated(self.look, name="keys", every=EVERY)
        self._used: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._fault = ""
        self._looked = False
        self.lost = ""
        self.now: Keys = {}

    @property
    def made(self) -> bool:
        """Whether a key was ever made here, or may have been: then nobody may do anything without one."""
        lost = self.lost  # first: `look` empties it after it has filled `now`
        return bool(lost) or bool(self.now)

    def start(self) -> None:
        """What is known before the first request is."""
        found = mirrored(self._site.state_dir)
        if found is None:
            self.lost = f"neither the database nor {FILE} says which keys there are; wait for the database"
        self.now = found or {}
        with suppress(LotRiskError, OSError):  # the score log tries again, and says why not
            migrate(self._site.database_url)
        self.look()
        self._repeated.start()

    def close(self) -> None:
        self._repeated.close()

    def used(self, key_id: str, now: int) -> None:
        """Noted; written at most once a minute."""
        self._used[key_id] = now

    def look(self) -> None:
        """Reads what holds, and writes which were used. What was known stays where the database is gone."""
        try:
            found = read_keys(self._engine)
            if self.now and not found:  # keys are revoked, never removed: this is another database
                raise DatabaseUnreachable("the database holds no key any more, and there were some; put it back")
            if not found and (self.lost or not self._looked):
                self.lost = lost_keys(self._engine)
                if self.lost:
                    raise DatabaseUnreachable(self.lost)
            self.now, self._looked = found, True
            self.lost = ""  # after `now`: in between nobody is anybody
            mirror(self._site.state_dir, self.now)
            self._write_used()
            fault = ""
        except (DatabaseUnreachable, OSError) as unreachable:
            fault = " ".join(str(unreachable).split())
        if fault and not self._fault:
            log.warning("%s: %s", "nobody may ask" if self.lost else "the keys known before hold on", fault)
        self._fault = fault

    def _write_used(self) -> None:
        used = list(self._used.items())
        due = [
            (key, at)
            for key, at in used
            if not within(at, self._written.get(key, 0), self._written.get(key, 0) + MINUTE)
        ]
        if not due:
            return
        with writing(self._engine) as connection:
            for key, at in due:
                earlier = sa.or_(KEYS.c.last_used_at.is_(None), before(KEYS.c.last_used_at, at))
                connection.execute(KEYS.update().where(KEYS.c.id == key, earlier).values(last_used_at=at))
        self._written |= dict(due)


def read_keys(engine: sa.Engine) -> Keys:
    """DatabaseUnreachable where they cannot be read."""
    with reached(engine), engine.connect() as connection:
        rows = connection.execute(sa.select(*(KEYS.c[name] for name in _FIELDS))).all()
    return {row.id: Known(**row._mapping) for row in rows}


def usable_keys(site: Site, now: int) -> int:
    """How many keys hold, by the database or, where it is gone, by what was known of it."""
    engine = open_database(site.database_url)
    try:
        found = read_keys(engine)
    except DatabaseUnreachable:
        found = mirrored(site.state_dir) or {}
    finally:
        engine.dispose()
    return sum(key.usable(now) for key in found.values())


def lost_keys(engine: sa.Engine) -> str:
    """What the audit log says of keys, asked where the database holds none; "": nothing. Keys are never removed."""
    asked = sa.select(sa.func.count(), sa.func.max(AUDIT.c.seq)).where(AUDIT.c.kind == "key")
    with reached(engine), engine.connect() as connection:
        entries, last = connection.execute(asked).one()
    if not entries:
        return ""
    return (
        f"the table keys is empty, and the audit log has {entries} entries about keys, the last {last}: rows were "
        "removed. Put the table back from a backup, or make a key: lotrisk keys create"
    )


def check_keys_there(site: Site) -> None:
    """SettingsError where keys were made of which nothing is left; nothing where the database cannot be asked."""
    if mirrored(site.state_dir):
        return
    engine = open_database(site.database_url)
    try:
        lost = "" if read_keys(engine) else lost_keys(engine)
    except DatabaseUnreachable:
        return
    finally:
        engine.dispose()
    if lost:
        raise SettingsError(f"{site.name}: {lost}")


def mirrored(state_dir: Path) -> Keys | None:
    """What the file says; None where there is none, or it does not read."""
    try:
        said = json.loads((state_dir / FILE).read_text(encoding="utf-8"))
        return {one["id"]: Known(**{name: one[name] for name in _FIELDS}) for one in said}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as fault:
        log.warning("%s does not read (%s); no key is known until the database answers", state_dir / FILE, fault)
        return None


def mirror(state_dir: Path, keys: Keys) -> None:
    """Writes the file, for its owner only, unless it says this already."""
    path = state_dir / FILE
    text = json.dumps([asdict(keys[key]) for key in sorted(keys)], indent=1) + "\n"
    with suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=".new-", suffix=".json", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            sync(file)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
