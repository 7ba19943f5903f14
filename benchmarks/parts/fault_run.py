"""One fault after the other under load, every answer compared; run by `benchmarks/faults.py`.

For each: calls of the first try, those answered 200, refused with 503 by code (`not_recorded`, `not_ready`; anything
else is strange), whose connection was cut; wrong answers; calls that in the end have no recorded answer; recorded
decisions that nobody got and no retry gives; seconds from the mending until no call fails and all is as before.

Each load, in short the last, is looked at twice, the second time with four answers spoilt: where these are not all
found, this fails.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from fault_checks import Checks, Found
from fault_client import Exchange, Plan, drive, read_exchanges
from fault_kinds import KINDS, Kind, clock_file
from fault_site import Place, Registry, made_place, small_disk

from features.card import iso
from serving.audit_check import check_audit
from tests.serving.live import LOTRISK, eventually, serving

RATE = 128.0  # calls a second
BESIDE = 2.0  # seconds of load before the breaking and after all is well; half of it in short
HEALS = 60.0  # seconds in which it must
SMALL = 192  # MB of the small disk
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
REPLAYED = 3  # decisions by `lotrisk audit replay`
HEAD = (
    f"{'fault':22} {'calls':>6} {'a second':>8} {'200':>6} {'503':>28} {'cut':>4} {'strange':>7} {'wrong':>5} "
    f"{'unrecorded':>10} {'orphans':>7} {'decisions':>9} {'states':>6} {'well after s':>12}"
)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=12.0, help="that a fault lasts; own database gone: a minute")
    asked.add_argument("--only", nargs="+", choices=[kind.name for kind in KINDS], metavar="NAME")
    asked.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked.add_argument(
        "--short", action="store_true", help="no minute without the own database, and fewer seconds beside"
    )
    given = asked.parse_args()
    kinds = [kind for kind in KINDS if given.only is None or kind.name in given.only]
    print(f"{given.database}; load average {'{:.1f} {:.1f} {:.1f}'.format(*os.getloadavg())}\n{HEAD}", flush=True)
    good = True
    for service in dict.fromkeys(kind.service for kind in kinds):
        with TemporaryDirectory() as folder, place_of(service, Path(folder), given.database) as place:
            environment = environment_of(service, place)
            if environment is None:
                print(f"clock stepping back: no {FAKETIME}; tests/serving/test_gate.py does it in one process")
                continue
            with closing(Checks(place)) as checks, serving(place.folder, workers=2, env=environment) as live:
                place.live = live
                settle(place)
                for kind in (kind for kind in kinds if kind.service == service):
                    seconds = given.seconds if (given.short and not kind.service) or not kind.lasts else kind.lasts
                    beside = BESIDE / 4 if given.short else BESIDE
                    spoilt = not given.short or kind is kinds[-1]
                    good = one_fault(place, kind, checks, seconds=seconds, beside=beside, spoilt=spoilt) and good
                good = verified(place, replays=1 if given.short else REPLAYED) and good
    sys.exit(0 if good else 1)


@contextmanager
def place_of(service: str, folder: Path, database: str) -> Iterator[Place]:
    if service != "small disk":
        with made_place(folder / "site", database=database) as place:
            try:
                if service == "registry":
                    place.registry = Registry(folder / "registry")
                    place.registry.start()
                yield place
            finally:
                if place.registry is not None:
                    place.registry.kill()
        return
    with small_disk(folder / "site", megabytes=SMALL) as mounted:
        print(
            "" if mounted else "disk full: no tmpfs could be mounted; RLIMIT_FSIZE of the service's processes", end=""
        )
        with made_place(folder / "site", database=database) as place:
            yield place


def environment_of(service: str, place: Place) -> Mapping[str, str] | None:
    if service == "registry":
        return os.environ | {"MLFLOW_TRACKING_URI": place.registered.url}
    if service != "faketime":
        return os.environ
    if not FAKETIME.exists():
        return None
    file = clock_file(place.folder)
    file.write_text("+0\n", encoding="utf-8")
    own = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    return os.environ | own | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def settle(place: Place) -> None:
    eventually(lambda: ready(place.running.url) and place.running.get("/v1/lots", limit=1)["items"], "it is ready")


def ready(url: str) -> bool:
    """Whether each of some answers on connections of their own, so of both workers, says so."""
    for _ in range(4):
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code != 200:
                return False
        except httpx.HTTPError:
            return False
    return True


def one_fault(place: Place, kind: Kind, checks: Checks, *, seconds: float, beside: float, spoilt: bool) -> bool:
    """Prints its row, and what is wrong."""
    live, out = place.running, place.folder.parent / "exchanges"
    port = int(live.url.rpartition(":")[2])
    name = f"{kind.name} {time.time_ns()}"
    plan = Plan(name, port, RATE, place.lots, place.record, iso(place.as_of))
    context = multiprocessing.get_context("spawn")
    asking, stopping = context.Event(), context.Event()
    client = context.Process(target=drive, args=(plan, asking, stopping, out))
    client.start()
    asking.wait()
    time.sleep(beside)
    with kind.breaking(place):
        mended = time.time()
        if not kind.at_once:
            time.sleep(seconds)
            mended = time.time()
    healed = until_well(place, kind)
    if kind.at_once:
        time.sleep(max(0.0, mended + seconds - time.time()))
    time.sleep(beside)
    stopping.set()
    client.join()
    exchanges = read_exchanges(out)
    first = [one for one in exchanges if one.turn == "first"]
    failed = max((one.at for one in first if one.status != 200), default=mended)
    after = float("inf") if healed is None else max(failed - mended, healed - mended)
    found = checks.compare(exchanges)
    _print(kind.name, found, first, after)
    return (not spoilt or finds_what_is_spoilt(checks, exchanges)) and not found.bad and after < HEALS


def finds_what_is_spoilt(checks: Checks, exchanges: list[Exchange]) -> bool:
    found = checks.spoilt(exchanges)
    caught = (len(found.wrong), len(found.unrecorded), len(found.orphans)) == (2, 1, 2)
    if not caught:
        print(f"    what was spoilt is not found: {found.wrong[:4]} {found.unrecorded[:2]} {found.orphans[:2]}")
    return caught


def until_well(place: Place, kind: Kind) -> float | None:
    """When all was as before; None: it was not, for a long time."""
    give_up = time.time() + HEALS
    while time.time() < give_up:
        if ready(place.running.url) and kind.well(place):
            return time.time()
        time.sleep(0.1)
    return None


def _print(name: str, found: Found, first: list[Exchange], after: float) -> None:
    spent = max(one.at for one in first) - min(one.at for one in first)
    refused = ", ".join(f"{code} {number}" for code, number in found.refused.items()) or "0"
    print(
        f"{name:22} {found.requests:6} {found.requests / spent:8.0f} {found.good:6} {refused:>28} {found.broken:4}"
        f" {len(found.strange):7} {len(found.wrong):5} {len(found.unrecorded):10} {len(found.orphans):7}"
        f" {found.decisions:9} {found.states:6} {after:12.1f}",
        flush=True,
    )
    for what in (found.strange, found.wrong, found.unrecorded, found.orphans):
        for told in what[:5]:
            print(f"    {told[:600]}", flush=True)


def verified(place: Place, *, replays: int) -> bool:
    """Whether the audit log is whole, and the command replays some decisions of it."""
    checked = check_audit(place.engine, place.site.state_dir)
    print(f"audit log: {checked.entries} entries, {checked.heads} heads, {'good' if checked.good else checked.damage}")
    good = checked.good
    for seq in range(checked.last, max(checked.last - replays, 0), -1):
        command = [str(LOTRISK), "audit", "replay", str(place.folder), str(seq)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        good &= "bit for bit" in said or "no decision" in said
        print(f"    {said.strip()[:200]}", flush=True)
    return good


if __name__ == "__main__":
    main()
