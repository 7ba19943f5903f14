"""What Prometheus is told. Workers count into files of one folder, and any of them answers for all."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from features.champion import Scorer
from serving.loaded import Loaded
from serving.score_log import ScoreLog

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_TIMES = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def count_together(folder: Path) -> None:
    """Makes the processes started from here on count into `folder`; it is emptied."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink()
    os.environ[FOLDER] = str(folder)


class Metrics:
    """The service's figures. prometheus_client looks at its folder when it is first imported, so that is here."""

    def __init__(self) -> None:
        import prometheus_client as prometheus

        self._registry = prometheus.CollectorRegistry()
        told: dict[str, Any] = {"registry": self._registry}
        self.requests = prometheus.Counter("lotrisk_requests_total", "Requests answered", ("route", "status"), **told)
        self.seconds = prometheus.Histogram(
            "lotrisk_request_seconds", "Seconds from request to answer", ("route",), buckets=_TIMES, **told
        )
        self.lots = prometheus.Counter("lotrisk_lots_scored_total", "Lots scored on request", ("decision",), **told)
        self.unlogged = prometheus.Counter(
            "lotrisk_scores_not_logged_total", "Scores given while the score log took none", **told
        )
        self.shadow = prometheus.Counter(
            "lotrisk_shadow_scores_total", "Scores of the challenger of what was answered", ("outcome",), **told
        )
        self.decided = prometheus.Counter(
            "lotrisk_gate_decisions_total", "Lots decided at the gate and recorded", ("decision",), **told
        )
        self.not_recorded = prometheus.Counter(
            "lotrisk_gate_not_recorded_total", "Calls of the gate refused since nothing could be recorded", **told
        )
        gauge: dict[str, Any] = {**told, "multiprocess_mode": "livemax"}
        of_each: dict[str, Any] = {**told, "multiprocess_mode": "livesum"}
        self.waiting = prometheus.Gauge("lotrisk_log_waiting_scores", "Scores that wait to be logged", **of_each)
        self.dropped = prometheus.Gauge("lotrisk_log_dropped_scores", "Scores that a full log refused", **of_each)
        self.keeper_waiting = prometheus.Gauge(
            "lotrisk_keeper_log_waiting_scores", "Scores of open lots that wait to be logged", **gauge
        )
        self.keeper_dropped = prometheus.Gauge(
            "lotrisk_keeper_log_dropped_scores", "Scores of open lots that a full log refused", **gauge
        )
        self.read_at = prometheus.Gauge(
            "lotrisk_histories_read_timestamp_seconds",
            "When the oldest histories in use were read",
            **told,
            multiprocess_mode="livemin",
        )
        self.version = prometheus.Gauge("lotrisk_model", "1 for the version that scores", ("version",), **gauge)
        self.refused = prometheus.Gauge("lotrisk_bundle_refused", "1 while a newer bundle is refused", **gauge)
        self.challenger = prometheus.Gauge(
            "lotrisk_challenger", "1 for the version that is tried beside the champion", ("version",), **gauge
        )
        self.challenger_refused = prometheus.Gauge(
            "lotrisk_challenger_refused", "1 while the challenger's bundle is refused", **gauge
        )
        self.failing = prometheus.Gauge(
            "lotrisk_refresh_failing", "1 while sources, registry or open lots cannot be read or scored", **gauge
        )
        self._scoring = self._tried = ""
        self._of_decision: dict[str, Any] = {}
        self._of_gate: dict[str, Any] = {}
        self._of_route: dict[tuple[str, int], tuple[Any, Any]] = {}

    def scored(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Lots were answered."""
        _count(self.lots, self._of_decision, [result.get("decision", "problem") for result in results])

    def gated(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Lots were decided at the gate."""
        _count(self.decided, self._of_gate, [result["decision"] for result in results])

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        if (route, status) not in self._of_route:
            self._of_route[route, status] = self.requests.labels(route, status), self.seconds.labels(route)
        requests, times = self._of_route[route, status]
        requests.inc()
        times.observe(seconds)

    def told(self, loaded: Loaded) -> None:
        """What a worker scores with has changed."""
        published = loaded.published
        if loaded.mapped == published.histories:  # else older ones are in use: what was said of them holds
            self.read_at.set(published.read_at / 1e6)
        self.refused.set(1 if loaded.refused else 0)
        self.failing.set(1 if published.fault else 0)
        self.keeper_waiting.set(published.log_waiting)
        self.keeper_dropped.set(published.log_dropped)
        self.challenger_refused.set(1 if loaded.challenger.refused else 0)
        self._scoring = _moved(self.version, self._scoring, loaded.scorer)
        self._tried = _moved(self.challenger, self._tried, loaded.challenger.scorer)

    def shadowed(self, outcome: str, lots: int) -> None:
        """Lots were scored by the challenger, or were not."""
        self.shadow.labels(outcome).inc(lots)

    def looked(self, log: ScoreLog) -> None:
        """How a worker's own score log is. Each worker says so itself, a few times a second: any may be asked."""
        self.waiting.set(log.waiting)
        self.dropped.set(log.dropped)

    def text(self, log: ScoreLog) -> tuple[bytes, str]:
        """(text, media type) of all workers together."""
        import prometheus_client as prometheus
        from prometheus_client import multiprocess

        self.looked(log)
        registry = self._registry
        if folder := os.environ.get(FOLDER):
            _forget_ended(Path(folder))
            registry = prometheus.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return prometheus.generate_latest(registry), prometheus.CONTENT_TYPE_LATEST


def _count(counter: Any, held: dict[str, Any], decisions: Sequence[str]) -> None:
    """`held`: the counter of each decision, which takes as long to look up as to count."""
    for decision, number in Counter(decisions).items():
        if decision not in held:
            held[decision] = counter.labels(decision)
        held[decision].inc(number)


def _moved(gauge: Any, before: str, scorer: Scorer | None) -> str:
    """The version that the gauge says 1 of from now on; "": none."""
    version = "" if scorer is None else scorer.version
    if before and before != version:
        gauge.labels(before).set(0)
    if version:
        gauge.labels(version).set(1)
    return version


def _forget_ended(folder: Path) -> None:
    """Removes what workers that ended said of themselves; what they counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        try:
            os.kill(int(file.stem.rpartition("_")[2]), 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
        except PermissionError:
            continue  # somebody else's process has its number by now: an old figure is better than none


class Counted:
    """ASGI middleware: counts and times every request by its route."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        status = 500

        async def told(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.answered(route, status, perf_counter() - begun)
