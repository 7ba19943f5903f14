"""Suspects and containments as a worker answers them, over a site written by hand, with a database on both servers."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from features.asked import ask
from features.asof import DAY
from features.champion import Scorer
from features.containment import Scope
from features.containment import held as held_of
from features.reading import read_histories
from features.score import question
from features.suspects import lots_held
from serving.access import Caller
from serving.audit import entries
from serving.containments import open_scopes, scopes_of
from serving.gate_calls import Once
from serving.metrics import Metrics
from serving.migrate import migrate
from serving.problems import Problem
from serving.published import Published
from serving.service import Service
from serving.tables import CONTAINMENTS
from tests.serving.unsteady import postgres_schema
from tests.small_site import LABEL, write_site

NOW = 1_717_200_000_000_000  # 2024-06-01
LOTS = """
    lot_id,product_id,line_id,customer_id,quantity,produced_at
    A,P,N1,C1,10,2024-01-10 08:00
    B,P,N1,C1,10,2024-01-20 08:00
    C,P,N2,C1,10,2024-01-30 08:00
    D,P,N2,C1,10,2024-01-01 08:00
    E,P,N2,C1,10,2024-02-10 08:00
"""
SHIPMENTS = """
    shipment_id,lot_id,customer_id,shipped_at,quantity
    s1,A,C1,2024-02-01 08:00,6
    s2,A,C2,2024-02-02 08:00,3
    s3,A,C2,2024-02-20 08:00,-1
    s4,B,C1,2024-02-03 08:00,10
"""
SUPPLIES = """
    supplier_lot_id,supplier_id,material_id,material_group,received_at,quantity
    U,S,M1,resin,2024-01-05 08:00,8
    V,S,M1,resin,2024-01-05 08:00,3
    W,T,M2,,2024-01-05 08:00,
"""
GENEALOGY = """
    lot_id,supplier_lot_id,consumed_at,quantity,known_at,deleted
    A,U,2024-01-09 08:00,3,,
    A,W,2024-01-09 08:00,1,,
    B,U,2024-01-19 08:00,3,,
    B,W,2024-01-19 08:00,1,,
    E,U,2024-02-09 08:00,1,,
    E,U,2024-02-09 08:00,1,2024-03-01 08:00,1
    E,V,2024-02-09 08:00,3,2024-03-01 08:00,
"""
RETURNS = """
    return_id,lot_id,customer_id,occurred_at,reported_at,quantity
    R1,A,C1,2024-04-01 10:00,2024-04-03 12:00,2
"""
ONCE = Once("test", None, "")
QUALITY = Caller("k1", "Ana", "quality").actor


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    site = write_site(
        tmp_path / "site",
        LABEL,
        lots=LOTS,
        shipments=SHIPMENTS,
        supplier_lots=SUPPLIES,
        genealogy=GENEALOGY,
        returns=RETURNS,
    )
    if request.param == "sqlite":
        yield from _served(site)
    else:
        with postgres_schema() as url:
            yield from _served(replace(site, database_url=url))


def _served(site: Any) -> Iterator[Service]:
    migrate(site.database_url)
    made = Service(site, Metrics())
    made.gate._clock = lambda: NOW
    made.log.start()
    histories = read_histories(site, now=NOW).histories
    follower = made._follower
    follower.now = replace(
        follower.now, scorer=Scorer(None), histories=histories, published=Published(read_now=NOW, segments=1)
    )
    yield made
    made.close()


def suspects(service: Service, **asked: Any) -> dict[str, Any]:
    wanted = {"supplier_lot": None, "returned": None, "as_of": None} | asked
    return dict(asyncio.run(service.suspicion.suspects(**wanted)))


def by_why(answer: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for lot in answer["lots"]:
        found.setdefault(lot["why"], set()).add(lot["lot_id"])
    return found


def of(answer: dict[str, Any], lot: str) -> dict[str, Any]:
    return next(dict(item) for item in answer["lots"] if item["lot_id"] == lot)


def opened(service: Service, once: Once = ONCE, **sent: Any) -> dict[str, Any]:
    return dict(service.suspicion.open({"reason": "a customer called", **sent}, actor=QUALITY, once=once))


def refused(of_what: Any) -> str:
    with pytest.raises(Problem) as fault:
        of_what()
    return fault.value.code


def held(service: Service, lot: str) -> list[str]:
    """Rules of open containments by which the gate would hold it, with what."""
    histories = service.loaded.histories
    assert histories is not None
    with service.engine.connect() as connection:
        scopes = open_scopes(connection)
    judged = question(histories, np.array([histories.ids["lot"].code(lot)]), np.array([NOW]))
    (found,) = held_of(ask(judged, histories, service.site.rules), [lot], histories, scopes)
    return [one.why for one in found]


def test_suspects_of_a_supplier_lot_are_told_by_why_and_where(service: Service) -> None:
    answer = suspects(service, supplier_lot="U")
    assert by_why(answer) == {"uses": {"A", "B"}, "cannot_exclude": {"C"}, "withdrawn": {"E"}}
    assert of(answer, "A")["where"] == [
        place("shipped", "C1", 4, "2024-02-01T08:00:00Z"),
        place("shipped", "C2", 2, "2024-02-02T08:00:00Z"),
        place("returned", "C1", 2, "2024-04-03T12:00:00Z"),
        place("in_house", None, 2, None),
    ]
    assert of(answer, "C")["not_excluded"] == ["U"]
    assert of(answer, "E")["withdrawn"] == ["U"]
    assert [reason["code"] for reason in answer["boundary"]["reasons"]] == ["unaccounted"]
    assert answer["boundary"]["complete"] is False
    assert answer["counts"]["lots_by_place"] == {"in_house": 3, "shipped": 2, "returned": 1}
    assert answer["counts"]["units_by_place"] == {"in_house": 22, "shipped": 16, "returned": 2}


def place(where: str, customer: str | None, units: int, at: str | None) -> dict[str, Any]:
    return {"place": where, "customer_id": customer, "units": units, "at": at, "last_at": at}


def test_an_earlier_moment_has_its_own_suspects(service: Service) -> None:
    answer = suspects(service, supplier_lot="U", as_of=NOW - 100 * DAY)  # 2024-02-22
    assert by_why(answer) == {"uses": {"A", "B", "E"}, "cannot_exclude": {"C"}}
    assert answer["counts"]["units_by_place"]["returned"] == 0


def test_what_is_used_up_ends_the_list(service: Service) -> None:
    answer = suspects(service, supplier_lot="V")
    assert by_why(answer) == {"uses": {"E"}, "cannot_exclude": {"C"}}
    boundary = answer["boundary"]
    assert (boundary["complete"], boundary["until"]) == (True, "2024-02-09T08:00:00Z")
    assert [reason["code"] for reason in boundary["reasons"]] == ["used_up"]
    assert "All 3 of V" in boundary["reasons"][0]["detail"]


def test_a_return_leads_to_lots_that_share_its_supplier_lots(service: Service) -> None:
    answer = suspects(service, returned="R1")
    assert answer["about"] == {"supplier_lot": None, "return": "R1", "lot_id": "A"}
    assert [one["supplier_lot_id"] for one in answer["supplier_lots"]] == ["U", "W"]
    assert by_why(answer) == {"returned": {"A"}, "shares": {"B"}, "cannot_exclude": {"C", "E"}}
    assert of(answer, "B")["supplier_lots"] == ["U", "W"]


def test_lots_come_by_risk_and_those_without_a_score_last(service: Service) -> None:
    risks = [lot["risk"] for lot in suspects(service, supplier_lot="U")["lots"]]
    assert risks == sorted((risk for risk in risks if risk is not None), reverse=True)
    assert {lot["scored"] for lot in suspects(service, supplier_lot="U")["lots"]} == {"now"}


def test_what_no_table_names_is_refused(service: Service) -> None:
    assert refused(lambda: suspects(service, supplier_lot="Q")) == "unknown_supplier_lot"
    assert refused(lambda: suspects(service, returned="Q")) == "unknown_return"
    assert refused(lambda: suspects(service, returned="R1", as_of=NOW - 100 * DAY)) == "unknown_return"
    assert refused(lambda: opened(service, supplier_lot="Q")) == "unknown_supplier_lot"
    assert refused(lambda: opened(service, **{"return": "Q"})) == "unknown_return"
    assert refused(lambda: opened(service, lots=["A", "Q"])) == "unknown_lot"
    assert service.suspicion.listed("all") == {"containments": []}


def test_a_supplier_lot_that_is_still_to_come_is_contained_where_that_is_said(service: Service) -> None:
    for wrong in ({"lots": ["A"], "expected": True}, {"supplier_lot": "Q", "expected": "yes"}):
        assert refused(lambda wrong=wrong: opened(service, **wrong)) == "invalid_request"
    assert refused(lambda: opened(service, supplier_lot="Q", expected=False)) == "unknown_supplier_lot"
    one = opened(service, supplier_lot="Q", expected=True)
    assert (one["about"], one["supplier_lots"]) == ({"supplier_lot": "Q", "expected": True}, ["Q"])
    assert one["held"]["lots"] == 0  # what was produced before cannot hold any, gaps or not
    assert [held(service, lot) for lot in "ABCDE"] == [[]] * 5
    with service.engine.connect() as connection:
        assert open_scopes(connection) == scopes_of(connection, [one["id"]]) == [Scope(one["id"], ("Q",), (), NOW)]
    assert service.suspicion.listed("open")["containments"][0]["held"] == one["held"]
    known = opened(service, supplier_lot="U", expected=True)  # it is here: held as any other
    assert (known["about"], known["held"]["uses"]) == ({"supplier_lot": "U"}, 2)


@pytest.mark.parametrize("booked", [False, True])
def test_lots_that_take_a_supplier_lot_which_was_to_come_are_held(booked: bool, tmp_path: Path) -> None:
    tables = {"lots": LOTS + "F,P,N1,C1,10,2024-06-03 08:00\nG,P,N1,C1,10,2024-06-03 08:00\n"}
    tables["genealogy"] = GENEALOGY + "G,Q,2024-06-02 08:00,1,,\nG,W,2024-06-02 08:00,1,,\n"
    tables["supplier_lots"] = SUPPLIES + ("Q,S,M1,resin,2024-06-01 09:00,5\n" if booked else "")
    site = write_site(tmp_path / "site", LABEL, returns=RETURNS, **tables)
    told = read_histories(site, now=NOW + 9 * DAY).histories
    lots = ["A", "D", "F", "G"]
    codes = np.array([told.ids["lot"].code(lot) for lot in lots])
    asked = ask(question(told, codes, np.full(4, NOW + 5 * DAY)), told, site.rules)
    found = held_of(asked, lots, told, [Scope(1, ("Q",), (), NOW)])
    assert [[one.why for one in by_lot] for by_lot in found] == [[], [], ["cannot_exclude"], ["uses"]]
    every = lots_held(told, Scope(1, ("Q",), (), NOW), NOW + 5 * DAY)
    assert {why: told.ids["lot"].decode(codes) for why, codes in every.items()} == {
        "listed": [],
        "uses": ["G"],
        "cannot_exclude": ["F"],
    }
    anytime = held_of(asked, lots, told, [Scope(1, ("nobody's",), ())])
    assert [len(by_lot) for by_lot in anytime[:2]] == [0, 1]  # of a name that is not said to be still to come


def test_an_open_containment_holds_its_lots_until_it_is_closed(service: Service) -> None:
    assert held(service, "A") == []
    one = opened(service, supplier_lot="U")
    assert (one["state"], one["supplier_lots"], one["lots"], one["opened_by"]) == ("open", ["U"], [], QUALITY)
    assert one["held"] == {"lots": 3, "in_house": 2, "listed": 0, "uses": 2, "cannot_exclude": 1}
    assert {lot: held(service, lot) for lot in "ABCDE"} == {
        "A": ["uses"],
        "B": ["uses"],
        "C": ["cannot_exclude"],
        "D": [],
        "E": [],
    }
    assert {lot["lot_id"]: lot["contained"] for lot in suspects(service, supplier_lot="U")["lots"]} == {
        "A": True,
        "B": True,
        "C": True,
        "E": False,
    }
    over = service.suspicion.close(str(one["id"]), {"reason": "inspected, nothing found"}, actor="Bo", once=ONCE)
    assert (over["state"], over["closed_by"], over["closed_reason"]) == ("closed", "Bo", "inspected, nothing found")
    assert held(service, "A") == []
    with service.engine.connect() as connection:
        assert [scope.supplier_lots for scope in scopes_of(connection, [one["id"]])] == [("U",)]


def test_a_return_contains_its_lot_and_what_went_into_it(service: Service) -> None:
    one = opened(service, **{"return": "R1"})
    assert (one["about"], one["supplier_lots"], one["lots"]) == ({"return": "R1"}, ["U", "W"], ["A"])
    assert held(service, "A") == ["listed", "uses", "uses"]
    assert held(service, "D") == []


def test_lots_are_contained_by_name(service: Service) -> None:
    one = opened(service, lots=["D", "D", "C"])
    assert (one["about"], one["lots"]) == ({"lots": 2}, ["D", "C"])
    assert held(service, "D") == ["listed"]


def test_opening_and_closing_are_recorded_with_who_and_why_and_what_was_before(service: Service) -> None:
    one = opened(service, lots=["A"])
    service.suspicion.close(str(one["id"]), {"reason": "done"}, actor="Bo", once=ONCE)
    first, second = entries(service.engine, kind="containment")
    assert (str(first.seq), first.actor, first.body["state"], first.body["previous"]) == (
        one["audit_id"],
        QUALITY,
        "open",
        None,
    )
    assert first.body["scope"]["lots"] == ["A"]
    assert (second.actor, second.body["reason"], second.body["previous"]["state"]) == ("Bo", "done", "open")
    assert second.body["previous"]["reason"] == "a customer called"


def test_a_containment_is_closed_once_and_with_a_reason(service: Service) -> None:
    number = str(opened(service, lots=["A"])["id"])

    def close(number: str, **sent: Any) -> Any:
        return service.suspicion.close(number, sent, actor="Bo", once=ONCE)

    assert refused(lambda: close(number)) == "invalid_request"
    assert refused(lambda: close(number, reason=" \n")) == "invalid_request"
    assert refused(lambda: close(f"0{number}", reason="done")) == "unknown_containment"
    assert close(number, reason="done")["state"] == "closed"
    assert refused(lambda: close(number, reason="done")) == "containment_closed"
    for nobody in ("7000", "0", "x", "-1", "9" * 19, "9" * 40, "²"):
        assert refused(lambda nobody=nobody: close(nobody, reason="done")) == "unknown_containment"


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"supplier_lot": "U", "lots": ["A"]},
        {"supplier_lot": 4},
        {"supplier_lot": ""},
        {"lots": []},
        {"lots": "A"},
        {"lots": ["A", None]},
        {"lots": ["A"], "reason": ""},
        {"lots": ["A"], "reason": None},
        {"lots": ["A"], "reason": "a\0b"},
    ],
)
def test_what_names_no_scope_or_says_no_why_opens_nothing(service: Service, sent: dict[str, Any]) -> None:
    assert refused(lambda: opened(service, **sent)) == "invalid_request"
    assert service.suspicion.listed("all") == {"containments": []}


def test_the_same_key_opens_once(service: Service) -> None:
    once = Once("containment Ana", "key-1", "hash of the body")
    one = opened(service, once, supplier_lot="U")
    again = opened(service, once, supplier_lot="U")
    assert (again["id"], again["audit_id"]) == (one["id"], one["audit_id"])
    assert refused(lambda: opened(service, replace(once, request="another"), lots=["A"])) == "idempotency_conflict"
    assert len(service.suspicion.listed("open")["containments"]) == 1
    assert opened(service, supplier_lot="U")["id"] != one["id"]


def test_containments_are_listed_by_state_the_newest_first(service: Service) -> None:
    numbers = [opened(service, lots=[lot])["id"] for lot in "ABC"]
    service.suspicion.close(str(numbers[1]), {"reason": "done"}, actor="Bo", once=ONCE)

    def listed(state: str) -> list[int]:
        return [one["id"] for one in service.suspicion.listed(state)["containments"]]

    assert listed("open") == [numbers[2], numbers[0]]
    assert listed("closed") == [numbers[1]]
    assert listed("all") == numbers[::-1]
    assert refused(lambda: listed("some")) == "invalid_request"


def test_what_cannot_be_recorded_is_not_opened(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("insert", {}, Exception("disk full"))

    monkeypatch.setattr("serving.containing.append", broken)
    assert refused(lambda: opened(service, lots=["A"])) == "not_recorded"
    with service.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(CONTAINMENTS)).scalar_one() == 0


def test_suspects_are_told_while_the_database_is_gone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.suspicion, "_engine", sa.create_engine("sqlite:////no/such/folder/file.db"))
    assert {lot["contained"] for lot in suspects(service, supplier_lot="U")["lots"]} == {None}
    assert refused(lambda: service.suspicion.listed("open")) == "not_recorded"
