"""compose.yaml without an engine: its commands are real ones, its parts know each other, its secrets are elsewhere."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from features.site import read_site
from lotrisk import main
from tests.dockerfile import instructions
from tests.small_site import LABEL
from tests.tree import ROOT

TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")
PATIENCE = 120.0  # seconds; the cores are shared


def test_the_four_parts_are_there() -> None:
    assert set(SERVICES) == {"lotrisk", "postgres", "mlflow", "prometheus"}
    assert {service.get("restart") for service in SERVICES.values()} == {"unless-stopped"}


def test_every_part_has_a_health_check_and_waits_for_what_has_one() -> None:
    image = {keyword for keyword, _ in instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))}
    for name, service in SERVICES.items():
        assert "healthcheck" in service or ("build" in service and "HEALTHCHECK" in image), name
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert condition["condition"] in ("service_healthy", "service_started")


def test_what_must_last_is_in_a_volume_and_every_volume_is_declared() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    named = {source for source in mounted if re.fullmatch(r"\w+", source)}
    assert named == set(COMPOSE["volumes"])
    assert all((ROOT / source).is_file() for source in mounted if source.startswith("./"))


def open_to_others(service: dict[str, Any]) -> list[str]:
    return [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]


def test_ports_are_published_on_this_machine_only() -> None:
    assert [port for service in SERVICES.values() for port in open_to_others(service)] == []
    assert open_to_others({"ports": ["8000:8000"]}) == ["8000:8000"]


def secrets_in(service: dict[str, Any]) -> list[str]:
    """Names of secrets whose value stands in the file."""
    stated = service.get("environment", {}).items()
    return [name for name, value in stated if SECRET.search(name) and not re.fullmatch(r"\$\{\w+:\?[^}]+\}", value)]


def test_no_secret_stands_in_the_file() -> None:
    assert [name for service in SERVICES.values() for name in secrets_in(service)] == []
    assert secrets_in({"environment": {"POSTGRES_PASSWORD": "letmein"}}) == ["POSTGRES_PASSWORD"]


def test_every_variable_is_told_at_the_head_of_the_file() -> None:
    head, _, body = TEXT.partition("\nname:")
    assert set(re.findall(r"\$\{(\w+)", body)) == set(re.findall(r"^#   (\w+) ", head, re.MULTILINE))


def test_our_command_is_one_that_the_command_line_takes() -> None:
    name, *words = SERVICES["lotrisk"]["command"]
    asked = main.commands[name].make_context(name, list(words)).params
    assert (asked["site"], asked["host"], asked["port"]) == (Path("/site"), "0.0.0.0", 8000)
    assert f"{asked['site']}" in SERVICES["lotrisk"]["volumes"][0].split(":")[-1]
    assert SERVICES["lotrisk"]["ports"] == [f"127.0.0.1:8000:{asked['port']}"]


def test_prometheus_asks_the_service_where_it_listens() -> None:
    (mount,) = [volume for volume in SERVICES["prometheus"]["volumes"] if volume.startswith("./")]
    settings = yaml.safe_load((ROOT / mount.split(":")[0]).read_text(encoding="utf-8"))
    (job,) = settings["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["lotrisk:8000"]}]
    assert f"--config.file={mount.split(':')[1]}" in SERVICES["prometheus"]["command"]


def test_the_database_of_the_site_is_the_one_that_runs_here(tmp_path: Path) -> None:
    line = re.search(r"\[site\] (database = .+)$", TEXT, re.MULTILINE)
    assert line
    (tmp_path / "lotrisk.toml").write_text(f"[site]\n{line[1]}\n{LABEL}", encoding="utf-8")
    url = sa.make_url(read_site(tmp_path, {"LOTRISK_DB_PASSWORD": "a@b:c"}).database_url)
    stated = SERVICES["postgres"]["environment"]
    assert (url.host, url.database, url.username) == ("postgres", stated["POSTGRES_DB"], stated["POSTGRES_USER"])
    assert url.password == "a@b:c"
    assert {"LOTRISK_DB_PASSWORD"} <= set(SERVICES["lotrisk"]["environment"])


def test_mlflow_has_the_version_of_the_lock() -> None:
    pinned = re.search(r"^mlflow==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    assert SERVICES["mlflow"]["image"].endswith(f":v{pinned[1]}")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def asked_of(port: int, path: str, host: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_registry_answers_the_service_by_the_name_it_has_there(tmp_path: Path) -> None:
    """MLflow's server as it is started there, but for its folder and port."""
    service, port = SERVICES["mlflow"], free_port()
    words = [
        word.replace("/mlflow/", f"{tmp_path}/").replace("--port=5000", f"--port={port}") for word in service["command"]
    ]
    check = [word.replace("5000", str(port)) for word in service["healthcheck"]["test"][1:]]
    log = (tmp_path / "log").open("wb")
    with log:
        server = subprocess.Popen(
            [str(Path(sys.executable).with_name(words[0])), *words[1:]],
            cwd=tmp_path,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
        )
        try:
            until = time.monotonic() + PATIENCE
            while subprocess.run([sys.executable, *check[1:]], capture_output=True).returncode:
                assert server.poll() is None and time.monotonic() < until, (tmp_path / "log").read_text()
                time.sleep(0.5)
            registered = "/api/2.0/mlflow/registered-models/search"
            name = SERVICES["lotrisk"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
            assert asked_of(port, registered, name) == 200
            assert asked_of(port, registered, "127.0.0.1:5000") == 200
            assert asked_of(port, registered, "elsewhere.example") == 403
        finally:
            server.terminate()
            server.wait(PATIENCE)


@pytest.mark.parametrize("name", ["postgres", "mlflow", "prometheus"])
def test_a_health_check_is_a_list_of_words(name: str) -> None:
    kind, *words = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    assert shlex.split(shlex.join(words)) == words
