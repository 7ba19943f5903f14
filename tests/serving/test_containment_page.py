"""The Containment page in a real Chromium: read by the office, acted on by whom the table of roles lets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from serving.access import CALLER, Caller
from serving.gate_calls import Once
from serving.page_containment import containment_pages
from serving.pages import pages
from serving.problems import Problem
from tests.browser import PHONE, browser, chromium, faults, hosts, requests, serving, size
from tests.page_source import ODD, SCRIPT, Plant
from tests.serving.test_pages import sideways, unnamed

__all__ = ["browser", "chromium"]

OPENED = "2026-11-20T09:00:00Z"
REASONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("unaccounted", {"supplier_lot": "SL-77", "left": 120.5, "quantity": 800.0}),
    ("consumption_unknown", {"supplier_lot": "SL-78", "rows": 4}),
    ("quantity_unknown", {"supplier_lot": "SL-79"}),
    ("no_record", {"supplier_lot": "SL-80"}),
    ("material_not_seen", {"supplier_lot": "SL-81", "material": "starch"}),
    ("nothing_traced", {"lot_id": "L-1"}),
    ("genealogy_incomplete", {"lot_id": "L-1", "materials": "starch, film"}),
    ("used_up", {"supplier_lot": "SL-82", "quantity": 800.0, "until": "2026-10-04T11:00:00Z"}),
)


def where(place: str, units: int, customer: str | None = None) -> dict[str, Any]:
    at = None if place == "in_house" else "2026-11-03T10:00:00Z"
    return {"place": place, "customer_id": customer, "units": units, "at": at, "last_at": at}


def lot(name: str, why: str, *at: dict[str, Any], risk: float | None = 0.2, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "lot_id": name,
        "product_id": "P03",
        "line_id": "L2",
        "produced_at": "2026-10-02T06:30:00Z",
        "quantity": 500,
        "where": list(at),
        "why": why,
        "supplier_lots": ["SL-77"] if why in ("uses", "shares") else [],
        "not_excluded": ["SL-77"] if why == "cannot_exclude" else [],
        "withdrawn": ["SL-77"] if why == "withdrawn" else [],
        "contained": False,
        "risk": risk,
        "risk_low": None,
        "risk_high": None,
        "decision": None if risk is None else "inspect",
        "scored": None if risk is None else "now",
    }
    return told | more


LOTS = [
    lot(ODD, "uses", where("shipped", 380, "Klinikum"), where("returned", 20, "Klinikum"), where("in_house", 100)),
    lot("L-2", "uses", where("shipped", 240, "A"), where("shipped", 260, "Lekarne"), risk=0.0712, contained=True),
    lot("L-3", "cannot_exclude", where("in_house", 500), risk=0.041, contained=True),
    lot(SCRIPT, "withdrawn", where("in_house", 500), risk=None, contained=None),
    lot("L-5", "withdrawn", risk=None, product_id=None, produced_at=None, quantity=None),
]


@dataclass
class Desk:
    """A Suspicion: answers of the wire, and what was asked of it."""

    complete: bool = False
    unreadable: bool = False
    refused: str = ""
    opened: list[Any] = field(default_factory=list)
    closed: list[Any] = field(default_factory=list)

    async def suspects(self, *, supplier_lot: str | None, returned: str | None, as_of: int | None) -> dict[str, Any]:
        if "nobody" in (supplier_lot, returned):
            raise Problem("unknown_supplier_lot", "no table names supplier lot nobody")
        reasons = REASONS[-1:] if self.complete else REASONS[:-1]
        places = ("in_house", "shipped", "returned")
        entries = [entry for one in LOTS for entry in one["where"]]
        return {
            "about": {"supplier_lot": supplier_lot, "return": returned, "lot_id": "L-1" if returned else None},
            "as_of": "2026-11-22T08:00:00Z",
            "supplier_lots": [
                {
                    "supplier_lot_id": "SL-77",
                    "supplier_id": "V01",
                    "material": "resin",
                    "received_at": "2026-09-28T05:00:00Z",
                    "quantity": 800.0,
                    "consumed": 679.5,
                    "uses_without_quantity": 0,
                    "used_up_at": None,
                    "counts": {"uses": 2, "cannot_exclude": 1, "withdrawn": 2},
                }
            ],
            "boundary": {
                "complete": self.complete,
                "from": "2026-09-28T05:00:00Z",
                "until": "2026-10-04T11:00:00Z" if self.complete else "2026-11-22T08:00:00Z",
                "reasons": [{"code": code, "detail": code, "values": values} for code, values in reasons],
            },
            "counts": {
                "lots": 5,
                "contained": 2,
                "not_scored": 3,
                "lots_by_place": {p: sum(any(e["place"] == p for e in one["where"]) for one in LOTS) for p in places},
                "units_by_place": {p: sum(e["units"] for e in entries if e["place"] == p) for p in places},
            },
            "lots": LOTS,
        }

    def listed(self, state: str) -> dict[str, Any]:
        if self.unreadable:
            raise Problem("not_recorded", "the database is gone")
        one = {
            "supplier_lots": ["SL-77"],
            "lots": [],
            "reason": "Cracks <near> the edge; two complaints of one clinic in a week.",
            "opened_at": OPENED,
            "opened_by": "key:4f2a Ana Novak",
        }
        over = {"closed_at": "2026-11-21T09:00:00Z", "closed_by": "Bo", "closed_reason": "Inspected, nothing found."}
        still = dict.fromkeys(over)
        held = {"lots": 31, "in_house": 12, "listed": 0, "uses": 20, "cannot_exclude": 11}
        return {
            "containments": [
                one
                | still
                | {"id": 4, "state": "open", "about": {"supplier_lot": "SL-90", "expected": True}, "held": None},
                one | still | {"id": 3, "state": "open", "about": {"supplier_lot": "SL-77"}, "held": held},
                one | still | {"id": 2, "state": "open", "about": {"lots": 1}, "lots": ["L-9"], "held": None},
                one | over | {"id": 1, "state": "closed", "about": {"return": "R-1"}, "held": None},
            ]
        }

    def open(self, sent: Mapping[str, Any], *, actor: str, once: Once) -> None:
        if self.refused:
            raise Problem(self.refused, "it was refused")
        self.opened.append((dict(sent), actor, once.key))

    def close(self, number: str, sent: Mapping[str, Any], *, actor: str, once: Once) -> None:
        if number != "3":
            raise Problem("unknown_containment", f"there is no containment {number}")
        self.closed.append((number, dict(sent), actor))


class House(Plant):
    """A plant with a containment desk."""

    def __init__(self) -> None:
        super().__init__()
        self.suspicion = Desk()
        self.role = "quality"


@dataclass
class Served:
    house: House
    at: str


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    house = House()
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(pages(house))
    app.include_router(containment_pages(house))

    class Calling:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope[CALLER] = Caller("", "Ana", house.role)
            await self._inner(scope, receive, send)

    app.add_middleware(Calling)
    with serving(app) as at:
        yield Served(house, at)


@pytest.fixture
def served(running: Served) -> Served:
    running.house.suspicion, running.house.role = Desk(), "quality"
    return running


def text(browser: Chrome, css: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, css).text


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("asked", ["", "supplier_lot=SL-77&", "return=R-1&", "supplier_lot=nobody&"])
def test_the_page_is_whole_and_comes_from_here_alone(
    browser: Chrome, served: Served, asked: str, language: str
) -> None:
    browser.get(f"{served.at}/containment?{asked}lang={language}")
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    assert unnamed(browser) == []
    assert [fault for fault in faults(browser) if "404" not in fault] == []
    assert hosts(requests(browser)) == {served.at.removeprefix("http://")}
    assert text(browser, "nav [aria-current=page]") == {"en": "Containment", "zh": "围堵"}[language]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("asked", ["", "supplier_lot=SL-77&", "return=R-1&"])
def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Chrome, served: Served, asked: str, language: str
) -> None:
    size(browser, PHONE)
    browser.get(f"{served.at}/containment?{asked}lang={language}")
    assert sideways(browser) == 0


def test_suspects_stand_by_place_with_their_units_and_why(browser: Chrome, served: Served) -> None:
    browser.get(f"{served.at}/containment?supplier_lot=SL-77")
    heads = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "h2.place")]
    assert heads == [
        "Shipped 2 lots, 880 units",
        "Returned 1 lot, 20 units",
        "In the house 3 lots, 1,100 units",
        "No units known 1 lot, 0 units",
    ]
    first = text(browser, "[aria-labelledby=at-shipped] tbody tr")
    assert (ODD in first, "Klinikum" in first, "380" in first, "uses it" in first) == (True,) * 4
    inside = text(browser, "[aria-labelledby=at-in_house]")
    assert (SCRIPT in inside, "cannot be excluded: SL-77" in inside) == (True, True)
    assert "contained" in inside
    assert "3 lots are not scored" in text(browser, "#boundary")


def test_a_lot_that_is_contained_is_never_shown_as_released(browser: Chrome, served: Served) -> None:
    browser.get(f"{served.at}/containment?supplier_lot=SL-77")
    rows = {row.text.split()[0]: row for row in browser.find_elements(By.CSS_SELECTOR, "table.lots tbody tr")}
    assert "Inspect" in text(browser, "[aria-labelledby=at-shipped] tbody tr")
    for name in ("L-2", "L-3"):
        assert rows[name].find_element(By.CSS_SELECTOR, ".cell-decision").text == "–"


def test_the_boundary_is_said_in_words(browser: Chrome, served: Served) -> None:
    browser.get(f"{served.at}/containment?supplier_lot=SL-77")
    said = text(browser, "#boundary")
    assert "The list cannot be closed" in said
    assert "120.5 of the 800 received of SL-77 are accounted for nowhere" in said
    served.house.suspicion.complete = True
    browser.get(f"{served.at}/containment?supplier_lot=SL-77&lang=zh")
    said = text(browser, "#boundary")
    assert "清单完整" in said
    assert "2026-10-04 13:00" in said


def test_a_containment_is_opened_and_closed_with_a_reason_and_without_a_script(browser: Chrome, served: Served) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(f"{served.at}/containment?supplier_lot=SL-77")
    browser.find_element(By.ID, "why-these").send_keys("cracks\n")
    WebDriverWait(browser, 10).until(lambda _: browser.current_url.endswith("/containment#open"))
    assert served.house.suspicion.opened == [({"supplier_lot": "SL-77", "reason": "cracks"}, "Ana", None)]
    browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=c-3] summary").click()
    browser.find_element(By.ID, "why-3").send_keys("nothing found\n")
    WebDriverWait(browser, 10).until(lambda _: served.house.suspicion.closed)
    assert served.house.suspicion.closed == [("3", {"reason": "nothing found"}, "Ana")]


def test_a_supplier_lot_that_nobody_knows_is_contained_before_it_comes(browser: Chrome, served: Served) -> None:
    browser.get(f"{served.at}/containment?supplier_lot=nobody")
    assert "Contain nobody before it comes" in text(browser, "#h-expected")
    browser.find_element(By.ID, "why-expected").send_keys("recalled by its maker\n")
    WebDriverWait(browser, 10).until(lambda _: served.house.suspicion.opened)
    sent = {"supplier_lot": "nobody", "expected": True, "reason": "recalled by its maker"}
    assert served.house.suspicion.opened == [(sent, "Ana", None)]
    served.house.suspicion.refused = "invalid_request"
    answer = post(served, "/containment/open", supplier_lot="nobody", expected="1", reason="a word")
    assert 'id="why-expected" name="reason" value="a word"' in answer.text
    assert "supplier lot SL-90, not there when it was opened" in text(browser, "[aria-labelledby=c-4]")
    served.house.role = "planner"
    browser.get(f"{served.at}/containment?supplier_lot=nobody")
    assert browser.find_elements(By.ID, "h-expected") == []


def test_open_containments_are_listed_with_who_when_and_why(browser: Chrome, served: Served) -> None:
    browser.get(f"{served.at}/containment")
    said = text(browser, "[aria-labelledby=c-3]")
    assert "Containment 3: supplier lot SL-77" in said
    assert "Cracks <near> the edge" in said
    assert "Opened 2026-11-20 10:00 by key:4f2a Ana Novak · holds 31 lots, 12 with units in the house" in said
    assert "Containment 2: lot L-9" in text(browser, "[aria-labelledby=c-2]")
    served.house.suspicion.unreadable = True
    browser.get(f"{served.at}/containment")
    assert "cannot be read now" in text(browser, "[aria-labelledby=open]")


def test_who_may_not_open_sees_no_form(browser: Chrome, served: Served) -> None:
    served.house.role = "planner"
    browser.get(f"{served.at}/containment?supplier_lot=SL-77")
    assert browser.find_elements(By.CSS_SELECTOR, "form[method=post]") == []
    served.house.role = "quality"
    browser.get(f"{served.at}/containment?supplier_lot=SL-77")
    assert browser.find_elements(By.CSS_SELECTOR, "form[method=post]") != []


def post(served: Served, path: str, origin: str | None = "own", **sent: str) -> httpx.Response:
    headers = {} if origin is None else {"origin": served.at if origin == "own" else origin}
    with httpx.Client(trust_env=False) as client:
        return client.post(served.at + path, data=sent, headers=headers)


@pytest.mark.parametrize("origin", [None, "null", "http://elsewhere.example", "http://127.0.0.1"])
def test_a_page_of_another_origin_opens_and_closes_nothing(served: Served, origin: str | None) -> None:
    for path in ("/containment/open", "/containment/3/close"):
        assert post(served, path, origin, supplier_lot="SL-77", reason="x").status_code == 403
    assert served.house.suspicion.opened == served.house.suspicion.closed == []


def test_lots_are_named_one_a_line(served: Served) -> None:
    answer = post(served, "/containment/open", lots="L-1\r\n\r\n  L-2 \r\n", reason="x")
    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, "/containment")
    assert served.house.suspicion.opened == [({"lots": ["L-1", "L-2"], "reason": "x"}, "Ana", None)]


def test_what_is_refused_is_said_and_nothing_has_to_be_written_anew(browser: Chrome, served: Served) -> None:
    served.house.suspicion.refused = "not_recorded"
    answer = post(served, "/containment/open", supplier_lot="SL-77", reason="two complaints")
    assert answer.status_code == 503
    assert 'value="two complaints"' in answer.text
    assert "It cannot be recorded now" in answer.text
    assert post(served, "/containment/7/close", reason="x").status_code == 404
    assert post(served, "/containment/open", reason="x", lots="L" * 2**21).status_code == 503


def test_a_lots_supplier_lots_lead_here(browser: Chrome, served: Served) -> None:
    browser.get(f"{served.at}/lots/T-2026-4821")
    browser.find_element(By.LINK_TEXT, "suspects").click()
    WebDriverWait(browser, 10).until(lambda _: "/containment?supplier_lot=" in browser.current_url)
