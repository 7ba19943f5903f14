"""What people see of a lot is what the gate would decide, and nothing of it is recorded."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from features.asof import DAY
from features.card import iso
from features.database import open_database, writing
from serving.pages import pages
from serving.problems import Problem
from serving.tables import AUDIT, CONTAINMENTS
from tests.serving.counter import LOT, Counter, arrive
from tests.serving.gate_desk import NOW, Row, rules, states

PLACES = (f"/check?lot={LOT}", f"/lots/{LOT}")
SCRAPPED = {"lot_id": LOT, "decided_at": iso(NOW - DAY), "action": "scrapped"}


def preview(counter: Counter, lot: str = LOT, language: str = "en") -> Row:
    return counter.loop.run_until_complete(counter.service.gate.preview(lot, language=language))


def contain(counter: Counter) -> None:
    scope = json.dumps({"supplier_lots": [], "lots": [LOT]})
    with writing(counter.service.engine) as connection:
        row = {"scope": scope, "reason": "returns", "opened_at": NOW, "opened_by": "me"}
        connection.execute(CONTAINMENTS.insert().values(**row))


def shown(counter: Counter, path: str) -> httpx.Response:
    """A page of this worker."""
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(pages(counter.service))

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path)

    return counter.loop.run_until_complete(ask())


def verdict(page: httpx.Response) -> str:
    """The class of the large answer."""
    return page.text.partition('<div class="verdict ')[2].partition('"')[0].split()[-1]


def test_a_preview_is_what_the_gate_answers_and_leaves_no_trace(counter: Counter) -> None:
    counter.ask({"lot_id": LOT})
    for happens in (lambda: None, lambda: contain(counter), lambda: arrive(counter, "dispositions", SCRAPPED)):
        happens()
        counter.load()
        entries, waiting = counter.count(AUDIT), counter.service.log.waiting
        seen = preview(counter)
        assert (counter.count(AUDIT), counter.service.log.waiting) == (entries, waiting)
        assert seen == counter.ask({"lot_id": LOT})["results"][0]
    assert (rules(seen), states(seen), seen["decision"]) == (["open_containment"], ["not_open"], "hold")


def test_pages_show_what_a_containment_holds_in_words_of_their_language(counter: Counter) -> None:
    contain(counter)
    for path in PLACES:
        page = shown(counter, path)
        assert (page.status_code, verdict(page)) == (200, "d-hold")
        assert "An open containment holds it" in page.text and "It is not recorded" in page.text
        assert "未关闭的围堵措施" in shown(counter, f"{path}{'&' if '?' in path else '?'}lang=zh").text
    assert counter.count(AUDIT) == 0


def test_rows_that_have_arrived_and_do_not_count_yet_are_no_release(counter: Counter) -> None:
    arrive(counter, "dispositions", SCRAPPED)
    assert states(preview(counter)) == ["pending_history"]
    assert [verdict(shown(counter, path)) for path in PLACES] == ["d-cannot_assess"] * 2
    counter.load()
    assert states(preview(counter)) == ["not_open"]


def test_without_the_database_no_page_releases(counter: Counter) -> None:
    counter.service.gate._engine = open_database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Problem) as fault:
        preview(counter)
    assert (fault.value.code, fault.value.status) == ("not_recorded", 503)
    pages_now = [shown(counter, path) for path in PLACES]
    assert [(page.status_code, verdict(page)) for page in pages_now] == [
        (503, "d-cannot_assess"),
        (200, "d-cannot_assess"),
    ]
