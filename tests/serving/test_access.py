"""Who may do what: every route with no key, a bad one and each role; limits, sessions, headers."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import time_ns
from typing import Any, NamedTuple

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from features.asof import DAY, HOUR, MINUTE
from features.contracts import TABLES
from features.database import open_database
from features.errors import SettingsError
from features.site import Site, read_site
from serving.access import CALLER, LOCAL, Access, Caller
from serving.answering import as_problem
from serving.app import create_app
from serving.keys import create, keys_of, revoke, rotate
from serving.known_keys import FILE, KnownKeys, check_keys_there, mirrored, read_keys
from serving.limits import Limits
from serving.migrate import migrate
from serving.pages import refusals
from serving.problems import Problem
from serving.roles import ANYBODY, FREEING, PAGES, ROLE_NAMES, ROLES, route_of
from serving.security_headers import SecurityHeaders
from serving.sessions import COOKIE, LASTS, Sessions
from serving.tables import KEYS
from tests.serving.fitted import copied
from tests.serving.live import Live, eventually, serving
from tests.serving.unsteady import postgres_schema
from tests.small_site import write_site

Asked = dict[str, str]
NAMED = re.compile(r"\{(\w+)(?::\w+)?\}")
NOW = 1_780_000_000_000_000


def routes_of(app: Any) -> list[tuple[str, str]]:
    """(method, path) of all that the app answers, HEAD as its GET, those of the routers that it includes too."""
    found: set[tuple[str, str]] = set()
    for route in app.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            found |= set(routes_of(included))
        else:
            found |= {("GET" if method == "HEAD" else method, route.path) for method in route.methods}
    return sorted(found)


def unruled(routes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Routes of which nobody says who may use them."""
    return [one for one in routes if one not in ROLES]


@dataclass
class Door:
    """A layer of access before an app that lets everybody in and remembers who it was."""

    keys: KnownKeys
    sessions: Sessions
    app: FastAPI
    limits: Limits
    seen: list[Any]
    texts: Asked

    def knock(
        self, method: str, path: str, headers: Asked | None = None, *, client: str = "192.0.2.7", body: bytes = b""
    ) -> httpx.Response:
        async def inner(scope: Any, receive: Any, send: Any) -> None:
            self.seen.append(scope.get(CALLER))
            try:
                while (await receive()).get("more_body"):
                    pass
                answer: Any = as_problem("not_found", "let in")
            except Problem as fault:
                answer = as_problem(fault.code, fault.detail)
            await answer(scope, receive, send)

        told: dict[str, Any] = {"keys": self.keys, "sessions": self.sessions, "limits": self.limits}
        access = Access(inner, **told, router=self.app, page=refusals(WORDED))
        transport = httpx.ASGITransport(app=SecurityHeaders(access), client=(client, 5))

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://plant") as asking:
                return await asking.request(method, path, headers=headers, content=body)

        return asyncio.run(ask())

    def bearer(self, name: str) -> Asked:
        return {"Authorization": f"Bearer {self.texts[name]}"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read_site(write_site(tmp_path / "site").folder, {})


@pytest.fixture
def engine(site: Site) -> Iterator[sa.Engine]:
    migrate(site.database_url)
    engine = open_database(site.database_url)
    yield engine
    engine.dispose()


def with_keys(engine: sa.Engine) -> Asked:
    """A key of each role, one that has expired and one that was revoked, as they are sent."""
    texts, told = {}, {"actor": "command:me", "now": NOW}
    for role in ROLE_NAMES:
        texts[role] = create(engine, role=role, name=f"a {role}", **told)[1]  # type: ignore[arg-type]
    _, texts["expired"] = create(engine, role="admin", name="old", expires_at=NOW + 1, **told)  # type: ignore[arg-type]
    gone, texts["revoked"] = create(engine, role="admin", name="gone", **told)  # type: ignore[arg-type]
    revoke(engine, gone.id, reason="lost", actor="command:me", now=NOW)
    texts["wrong"] = texts["admin"][:-1] + ("A" if texts["admin"][-1] != "A" else "B")
    texts["unknown"] = "lr_0123456789ab_" + "x" * 43
    return texts


@pytest.fixture
def door(site: Site, engine: sa.Engine) -> Door:
    texts = with_keys(engine)
    keys = KnownKeys(site, engine)
    keys.look()
    return Door(keys, Sessions(site.state_dir), create_app(site.folder), Limits(1000, share=1), [], texts)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["code"])


class Worded(NamedTuple):
    """What pages say of their site."""

    site_name: str = "plant"
    language: str = "en"
    timezone: str = "UTC"


WORDED = Worded()
REFUSED = {"wrong": "key_refused", "unknown": "key_refused", "expired": "key_expired", "revoked": "key_revoked"}


def test_every_route_says_who_may_use_it(door: Door) -> None:
    routes = routes_of(door.app)
    assert ("POST", "/v1/scores") in routes and ("GET", "/") in routes
    of_tables = {("POST", f"/v1/histories/{table}") for table in FREEING}
    assert FREEING and set(FREEING) < set(TABLES)
    assert unruled(routes) == [] and set(ROLES) - of_tables <= set(routes)


def test_a_line_sends_no_rows_of_where_a_lot_went_and_what_became_of_it(door: Door) -> None:
    for table in ("shipments", "dispositions", "outcomes"):
        answer = door.knock("POST", f"/v1/histories/{table}", door.bearer("line"))
        assert (answer.status_code, code(answer), door.seen) == (403, "not_allowed", [])


def test_a_route_without_roles_is_caught_and_answers_nobody(door: Door) -> None:
    @door.app.get("/v1/everything")
    async def everything() -> None: ...

    assert unruled(routes_of(door.app)) == [("GET", "/v1/everything")]
    answer = door.knock("GET", "/v1/everything", door.bearer("admin"))
    assert (answer.status_code, code(answer), door.seen) == (403, "not_allowed", [])


@pytest.mark.parametrize(("method", "route"), sorted(ROLES), ids=" ".join)
def test_a_route_answers_the_roles_that_may_and_nobody_else(method: str, route: str, door: Door) -> None:
    path, roles = NAMED.sub("x", route), ROLES[method, route]
    assert route_of(method, path) == route
    if roles is ANYBODY:
        for name in (None, *REFUSED, "line"):
            assert code(door.knock(method, path, door.bearer(name) if name else None)) == "not_found"
        assert [caller and caller.role for caller in door.seen] == [None] * (1 + len(REFUSED)) + ["line"]
        return
    without = door.knock(method, path)
    if route in PAGES:
        assert (without.status_code, without.headers["location"].split("?")[0]) == (303, "/login")
    else:
        assert (without.status_code, code(without)) == (401, "no_key")
        assert without.headers["www-authenticate"] == 'Bearer realm="lot-risk"'
    for name, refused in REFUSED.items():
        answer = door.knock(method, path, door.bearer(name))
        assert answer.status_code == (303 if route in PAGES else 401)
        assert route in PAGES or code(answer) == refused
    assert door.seen == []
    for role in ROLE_NAMES:
        answer = door.knock(method, path, door.bearer(role))
        assert code(answer) == ("not_found" if role in roles else "not_allowed")
    assert [caller.role for caller in door.seen] == [role for role in ROLE_NAMES if role in roles]


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer ", "Bearer lr_", "Bearer lr_x", "Basic bWU6eW91", "lr_x_y", "Bearer lr__", "Bearer é"],
)
def test_what_is_no_key_is_refused(sent: str, door: Door) -> None:
    answer = door.knock("GET", "/v1/lots", {"Authorization": sent.encode()})  # type: ignore[dict-item]
    assert (answer.status_code, code(answer)) == (401, "key_refused")


def test_a_path_that_is_no_route_is_told_to_who_has_a_key_only(door: Door) -> None:
    assert code(door.knock("GET", "/nowhere")) == "no_key"
    assert code(door.knock("GET", "/nowhere", door.bearer("line"))) == "not_found"
    assert code(door.knock("DELETE", "/v1/scores", door.bearer("line"))) == "not_found"


def test_a_handler_hears_who_calls(door: Door) -> None:
    door.knock("POST", "/v1/scores", door.bearer("line"))
    (caller,) = door.seen
    assert caller.name == "a line" and caller.actor == f"key:{caller.id} a line"


def test_without_any_key_this_machine_may_do_all_and_nobody_else_anything(site: Site, engine: sa.Engine) -> None:
    keys = KnownKeys(site, engine)
    keys.look()
    door = Door(keys, Sessions(site.state_dir), create_app(site.folder), Limits(1000, share=1), [], {})
    for (method, route), roles in ROLES.items():
        path = NAMED.sub("x", route)
        assert code(door.knock(method, path, client="127.0.0.1")) == "not_found"
        answer = door.knock(method, path)
        if roles is not ANYBODY:
            assert answer.status_code in (303, 401, 403), route
    assert set(door.seen) == {LOCAL}
    foreign = {"Origin": "http://elsewhere", "Host": "127.0.0.1:8000"}
    assert code(door.knock("POST", "/v1/models/1/promote", foreign, client="127.0.0.1")) == "loopback_only"
    assert Caller("", "local", "admin").actor == "local"


def test_a_key_may_make_so_many_calls_a_second(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("serving.limits.monotonic", lambda: clock[0])
    door.limits = Limits(4, share=0.5)
    asked = [door.knock("GET", "/v1/lots", door.bearer("line")).status_code for _ in range(3)]
    assert asked == [404, 404, 429]
    answer = door.knock("GET", "/v1/lots", door.bearer("line"))
    assert (code(answer), answer.headers["retry-after"]) == ("too_many_requests", "1")
    assert door.knock("GET", "/v1/lots", door.bearer("quality")).status_code == 404
    clock[0] += 0.5
    assert [door.knock("GET", "/v1/lots", door.bearer("line")).status_code for _ in range(2)] == [404, 429]


def test_a_key_with_limits_of_its_own(door: Door, engine: sa.Engine) -> None:
    told: Any = {"actor": "me", "now": NOW}
    _, text = create(engine, role="line", name="slow", calls_per_second=0.1, body_bytes=10, **told)
    door.keys.look()
    headers = {"Authorization": f"Bearer {text}"}
    answer = door.knock("POST", "/v1/scores", headers, body=b"x" * 11)
    assert (answer.status_code, code(answer)) == (413, "body_too_large")
    again = door.knock("POST", "/v1/scores", headers, body=b"x")
    assert (again.status_code, again.headers["retry-after"]) == (429, "10")


def test_a_body_that_does_not_say_its_length_is_cut_off(door: Door, engine: sa.Engine) -> None:
    told: Any = {"actor": "me", "now": NOW}
    _, text = create(engine, role="line", name="short", body_bytes=10, **told)
    door.keys.look()

    async def parts() -> Any:
        for _ in range(3):
            yield b"x" * 6

    headers = {"Authorization": f"Bearer {text}"}
    answer = door.knock("POST", "/v1/scores", headers, body=parts())  # type: ignore[arg-type]
    assert code(answer) == "body_too_large"


def cookie(door: Door, role: str, *, since: int = 0) -> Asked:
    key = next(key for key in door.keys.now.values() if key.name == f"a {role}")
    return {"Cookie": f"other=1; {COOKIE}={door.sessions.begin(key, time_ns() // 1000 - since)}"}


def test_a_session_holds_as_long_as_its_key_and_twelve_hours(door: Door, engine: sa.Engine) -> None:
    assert code(door.knock("GET", "/model", cookie(door, "quality"))) == "not_found"
    assert code(door.knock("GET", "/model", cookie(door, "line"))) == "not_allowed"
    assert door.knock("GET", "/model", cookie(door, "quality", since=LASTS)).status_code == 303
    assert code(door.knock("GET", "/v1/lots", cookie(door, "quality", since=LASTS - MINUTE))) == "not_found"
    held = cookie(door, "quality")
    key = next(key for key in door.keys.now.values() if key.name == "a quality")
    revoke(engine, key.id, reason="left", actor="me", now=NOW)
    door.keys.look()
    assert door.knock("GET", "/model", held).status_code == 303


@pytest.mark.parametrize("spoil", ["", "x", "a.b.c", "{id}.9999999999999999.{sig}", "{id}.{until}.", "{id}.١٢.{sig}"])
def test_a_session_that_nobody_began_is_none(spoil: str, door: Door) -> None:
    key_id, until, signed = cookie(door, "admin")["Cookie"].partition(f"{COOKIE}=")[2].split(".")
    sent = f"{COOKIE}={spoil}".format(id=key_id, until=until, sig=signed).encode()
    assert door.knock("GET", "/v1/lots", {"Cookie": sent}).status_code == 401  # type: ignore[dict-item]


def test_a_session_changes_something_only_from_a_page_of_this_service(door: Door) -> None:
    path, session = "/v1/containments", cookie(door, "quality")
    assert code(door.knock("POST", path, session)) == "not_allowed"
    assert code(door.knock("POST", path, session | {"Origin": "http://elsewhere"})) == "not_allowed"
    assert code(door.knock("POST", path, session | {"Origin": "http://plant"})) == "not_found"


def test_a_browser_is_refused_by_a_page_and_a_program_by_a_problem(door: Door) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "en"}
    line, quality = cookie(door, "line"), cookie(door, "quality")
    for path in ("/model", "/containment"):
        page = door.knock("GET", path, line | browser)
        assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "Your key has the role line" in page.text and "quality" in page.text and "Log out a line" in page.text
        assert "密钥角色为 line" in door.knock("GET", f"{path}?lang=zh", line | browser).text
    sent = door.knock("POST", "/containment/open", line | browser | {"Origin": "http://plant"})
    assert sent.status_code == 403 and "<!doctype html>" in sent.text
    assert code(door.knock("GET", "/v1/models", line | browser)) == "not_allowed"
    assert code(door.knock("GET", "/model", quality | browser)) == "not_found"  # as the inner app answers
    door.limits = Limits(1.0, share=1)
    asked = [door.knock("GET", "/model", cookie(door, "planner") | browser) for _ in range(2)]
    assert (asked[1].status_code, asked[1].headers["retry-after"]) == (429, "1") and "<h2>" in asked[1].text


def test_pages_link_to_what_the_caller_may_open_and_to_nothing_else(guarded: tuple[Live, sa.Engine, Asked]) -> None:
    live, _, texts = guarded
    for role in ROLE_NAMES:
        with httpx.Client(base_url=live.url, trust_env=False) as person:
            person.post("/login", data={"key": texts[role]}, headers={"Origin": live.url})
            page = person.get("/check", headers={"Accept": "text/html"})
            there = [path for path in ("/check", "/containment", "/model", "/docs") if f'<a href="{path}"' in page.text]
            assert there == [
                path for path in ("/check", "/containment", "/model", "/docs") if role in ROLES["GET", path]
            ]
            assert all(person.get(path).status_code == 200 for path in there)
            # Other places of a page, too
            named = set(re.findall(r'href="(/[a-z]*)[?"]', person.get("/").text)) - {"/"}
            assert all(role in ROLES["GET", path] for path in named if ("GET", path) in ROLES)


def test_the_secret_of_sessions_is_for_its_owner_only(door: Door, site: Site) -> None:
    cookie(door, "line")
    file = site.state_dir / "serving" / "session.secret"
    assert (file.stat().st_mode & 0o777, len(file.read_bytes())) == (0o600, 32)
    other = Sessions(site.state_dir)
    key = next(iter(door.keys.now.values()))
    assert other.begin(key, NOW) == door.sessions.begin(key, NOW)


def test_every_answer_has_the_headers_and_none_opens_cors(door: Door) -> None:
    asked = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "POST"}
    for method, path, headers in (
        ("GET", "/v1/lots", {}),
        ("OPTIONS", "/v1/scores", asked),
        ("OPTIONS", "/v1/scores", asked | door.bearer("line")),
        ("GET", "/v1/lots", asked | door.bearer("line")),
        ("GET", "/", {}),
    ):
        answer = door.knock(method, path, headers)
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors" in answer.headers["content-security-policy"] and answer.headers["referrer-policy"]
        assert "strict-transport-security" not in answer.headers
        assert [name for name in answer.headers if name.startswith("access-control")] == []


def test_what_was_known_goes_on_to_hold_with_the_database_gone(site: Site, engine: sa.Engine) -> None:
    texts = with_keys(engine)
    keys = KnownKeys(site, engine)
    keys.look()
    known = dict(keys.now)
    file = site.state_dir / FILE
    assert file.stat().st_mode & 0o777 == 0o600 and mirrored(site.state_dir) == known
    database = site.state_dir / "lotrisk.db"
    database.rename(site.state_dir / "away.db")
    keys.look()
    assert keys.now == known
    started = KnownKeys(site, engine)
    started.start()
    started.close()
    assert started.now == known
    assert all(text.split("_", 2)[2] not in file.read_text() for text in texts.values())


def test_where_nothing_says_which_keys_there_are_nobody_may_ask(site: Site, engine: sa.Engine) -> None:
    database = site.state_dir / "lotrisk.db"
    database.rename(site.state_dir / "away.db")
    keys = KnownKeys(site, engine)
    keys.start()
    keys.close()
    door = Door(keys, Sessions(site.state_dir), create_app(site.folder), Limits(1000, share=1), [], {})
    answer = door.knock("GET", "/v1/lots", client="127.0.0.1")
    assert (answer.status_code, code(answer)) == (401, "no_key") and "wait for the database" in answer.text
    (site.state_dir / "away.db").rename(database)
    keys.look()
    assert code(door.knock("GET", "/v1/lots", client="127.0.0.1")) == "not_found"  # let in
    database.rename(site.state_dir / "away.db")
    again = KnownKeys(site, engine)  # by now the file says that there are none
    again.start()
    again.close()
    assert not again.made


def test_keys_that_become_known_while_somebody_asks_let_nobody_in(site: Site, engine: sa.Engine) -> None:
    class Turning(KnownKeys):
        """Whatever is looked at first, all of `look` happens right after it."""

        turned = False

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name in ("now", "lost") and not self.turned:
                self.turned = True
                self.now, self.lost = with_keys_known, ""
            return found

    with_keys(engine)
    with_keys_known = read_keys(engine)
    keys = Turning(site, engine)
    keys.turned = True
    keys.now, keys.lost, keys.turned = {}, "wait for the database", False
    assert keys.made
    assert keys.made


def test_a_folder_that_may_not_be_looked_into_keeps_no_worker_from_starting(
    site: Site, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(url: str) -> None:
        raise PermissionError(13, "Permission denied", url)

    monkeypatch.setattr("serving.known_keys.migrate", refused)
    keys = KnownKeys(site, engine)
    keys.start()
    keys.close()
    assert not keys.made  # the database itself answers


@pytest.mark.parametrize("server", ["sqlite", "postgresql"])
def test_a_service_whose_keys_were_removed_is_open_to_nobody(server: str, site: Site) -> None:
    with postgres_schema() if server == "postgresql" else nullcontext(site.database_url) as url:
        site = replace(site, database_url=url)
        migrate(url)
        engine = open_database(url)
        try:
            _removed(site, engine)
        finally:
            engine.dispose()


def _removed(site: Site, engine: sa.Engine) -> None:
    check_keys_there(site)  # none was made yet
    key, _ = create(engine, role="admin", name="x", actor="me", now=NOW)
    revoke(engine, create(engine, role="line", name="y", actor="me", now=NOW)[0].id, reason="z", actor="me", now=NOW)
    check_keys_there(site)
    with engine.begin() as connection:
        connection.execute(KEYS.delete())
    with pytest.raises(SettingsError, match="keys is empty, and the audit log has 3 entries about keys, the last 3"):
        check_keys_there(site)
    keys = KnownKeys(site, engine)  # of a worker whose database came after its start
    assert not keys.made
    keys.look()
    door = Door(keys, Sessions(site.state_dir), create_app(site.folder), Limits(1000, share=1), [], {})
    for method, path in (("GET", "/v1/lots"), ("POST", "/v1/gate"), ("GET", "/nowhere")):
        answer = door.knock(method, path, client="127.0.0.1")
        assert (answer.status_code, code(answer)) == (401, "no_key") and "rows were removed" in answer.text
    assert door.knock("GET", "/healthz", client="127.0.0.1").status_code == 404  # let in
    assert door.seen == [None] and not (site.state_dir / FILE).exists()
    text = create(engine, role="admin", name=key.name, actor="me", now=NOW)[1]
    keys.look()
    assert code(door.knock("GET", "/v1/lots", {"Authorization": f"Bearer {text}"})) == "not_found"
    check_keys_there(site)


def test_last_use_is_written_once_a_minute(site: Site, engine: sa.Engine) -> None:
    key, _ = create(engine, role="line", name="x", actor="me", now=NOW)
    keys = KnownKeys(site, engine)
    written = []
    for after in (0, MINUTE // 2, MINUTE, HOUR):
        keys.used(key.id, NOW + after)
        keys.look()
        written.append(keys_of(engine)[0].last_used_at)
    assert written == [NOW, NOW, NOW + MINUTE, NOW + HOUR]


def test_a_rotated_key_and_its_heir_both_hold_for_the_overlap(engine: sa.Engine) -> None:
    told: Any = {"actor": "me"}
    old, _ = create(engine, role="line", name="x", now=NOW, expires_at=NOW + 90 * DAY, calls_per_second=5.0, **told)
    new, _ = rotate(engine, old.id, overlap=HOUR, now=NOW + DAY, **told)
    assert (new.role, new.name, new.replaces, new.calls_per_second) == ("line", "x", old.id, 5.0)
    assert new.expires_at == NOW + 91 * DAY
    known = read_keys(engine)
    for after, both in ((DAY, True), (DAY + HOUR - 1, True), (DAY + HOUR, False)):
        assert (known[old.id].usable(NOW + after), known[new.id].usable(NOW + after)) == (both, True)
    assert replace(keys_of(engine)[0], expires_at=old.expires_at) == old


@pytest.fixture(scope="module")
def guarded(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, sa.Engine, Asked]]:
    """A running service with two workers and keys."""
    folder = copied(factory, tmp_path_factory.mktemp("guarded") / "valves")
    site = read_site(folder, {})
    migrate(site.database_url)
    engine = open_database(site.database_url)
    texts = with_keys(engine)
    with serving(folder) as live:
        yield live, engine, texts
    engine.dispose()


def test_every_route_of_the_running_service(guarded: tuple[Live, sa.Engine, Asked]) -> None:
    live, _, texts = guarded
    for (method, route), roles in ROLES.items():
        path = NAMED.sub("x", route)
        if roles is ANYBODY:
            continue
        for name in (None, *REFUSED, *(role for role in ROLE_NAMES if role not in roles)):
            headers = {"Authorization": f"Bearer {texts[name]}"} if name else {}
            answer = live.client.request(method, path, headers=headers)
            wanted = 403 if name in ROLE_NAMES else 303 if route in PAGES else 401
            assert answer.status_code == wanted, (method, path, name, answer.text)
        for role in roles if method == "GET" else ():
            answer = live.client.get(path, headers={"Authorization": f"Bearer {texts[role]}"})
            assert answer.status_code not in (401, 403, 500), (path, role, answer.text)


def test_why_a_service_is_not_ready_is_told_to_who_has_a_key(guarded: tuple[Live, sa.Engine, Asked]) -> None:
    live, _, texts = guarded

    def told(name: str | None) -> set[str]:
        headers = {"Authorization": f"Bearer {texts[name]}"} if name else {}
        answer = live.client.get("/readyz", headers=headers)
        assert answer.status_code == 200 and answer.json()["ready"]
        return {check["detail"] for check in answer.json()["checks"].values()}

    for name in (None, *REFUSED):
        assert told(name) == {"send a key to be told"}
    for role in ROLE_NAMES:
        assert {"version 1", "takes scores"} < told(role)


def test_a_new_key_and_a_revoked_one_count_in_every_worker_that_runs(
    guarded: tuple[Live, sa.Engine, Asked],
) -> None:
    live, engine, _ = guarded

    def asked(text: str) -> set[int]:
        """Statuses over connections of their own, so of both workers."""
        headers = {"Authorization": f"Bearer {text}"}
        return {httpx.get(f"{live.url}/v1/drift", headers=headers, trust_env=False).status_code for _ in range(12)}

    key, text = create(engine, role="quality", name="new", actor="me", now=NOW)
    eventually(lambda: asked(text) == {200}, "a new key counts")
    revoke(engine, key.id, reason="lost", actor="me", now=NOW)
    eventually(lambda: asked(text) == {401}, "a revoked key counts no more")


def test_a_person_logs_in_and_out(guarded: tuple[Live, sa.Engine, Asked]) -> None:
    live, _, texts = guarded
    with httpx.Client(base_url=live.url, trust_env=False) as person:
        led = person.get("/lots/B%2F7?x=1")
        assert (led.status_code, led.headers["location"]) == (303, "/login?next=%2Flots%2FB%252F7%3Fx%3D1")
        page = person.get(led.headers["location"])
        assert 'name="next" value="/lots/B%2F7?x=1"' in page.text and page.headers["cache-control"] == "no-store"
        form = {"key": texts["quality"], "next": "/lots/B%2F7?x=1"}
        assert person.post("/login", data=form).status_code == 403
        origin = {"Origin": live.url}
        for name, refused in REFUSED.items():
            answer = person.post("/login", data={"key": texts[name]}, headers=origin)
            assert answer.status_code == 401 and 'role="alert"' in answer.text, refused
        begun = person.post("/login", data=form, headers=origin)
        assert (begun.status_code, begun.headers["location"]) == (303, "/lots/B%2F7?x=1")
        said = begun.headers["set-cookie"].lower()
        assert "httponly" in said and "samesite=strict" in said and "path=/" in said and "secure" not in said
        assert "Log out a quality" in person.get("/").text
        assert person.get("/v1/models").status_code == 200
        assert person.post("/logout", headers=origin).headers["location"] == "/login"
        assert person.get("/").status_code == 303
        for elsewhere in ("//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "/\telsewhere"):
            answer = person.post("/login", data=form | {"next": elsewhere}, headers=origin)
            assert answer.headers["location"] == "/"


def test_no_secret_stands_anywhere(guarded: tuple[Live, sa.Engine, Asked]) -> None:
    live, engine, texts = guarded
    for text in texts.values():
        live.client.post("/v1/scores", headers={"Authorization": f"Bearer {text}"}, content=b"{")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint")
    secrets = [text.split("_", 2)[2].encode() for text in texts.values()]
    places = [path for top in (live.folder, live.counted) for path in top.rglob("*") if path.is_file()]
    assert any(path.name == "keys.json" for path in places) and any(path.name == "log.txt" for path in places)
    for path in places:
        found = path.read_bytes()
        assert not [secret for secret in secrets if secret in found], path
    assert json.loads((live.folder / ".lotrisk" / FILE).read_text())[0]["hash"]
