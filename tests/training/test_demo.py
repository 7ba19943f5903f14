"""`lotrisk demo` to its end: the running service, calls that work as they are printed, and Ctrl-C."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training import demo

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the demo prints calls of curl")
PATIENCE = 240.0  # seconds; the cores are shared


def test_the_demo_ends_with_the_service_and_calls_that_work(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("lotrisk")), "demo", "--lots", "300", "--folder", "plant"]
    out, log = tmp_path / "out", tmp_path / "log"
    with out.open("wb") as told, log.open("wb") as faults:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=told,
            stderr=faults,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "80"},
        )
    try:
        until = time.monotonic() + PATIENCE
        while "Ctrl-C" not in out.read_text():
            assert process.poll() is None and time.monotonic() < until, out.read_text()[-2000:] + log.read_text()
            time.sleep(0.2)
        printed = out.read_text()
        calls = re.findall(r"^  (curl .+)$", printed, re.MULTILINE)
        assert len(calls) == 4
        for call in calls:
            answer = subprocess.run(
                ["bash", "-c", f"{call} --fail --silent --noproxy 127.0.0.1"], capture_output=True, text=True
            )
            assert answer.returncode == 0, call
            assert '"lot_id"' in answer.stdout, call
        page = re.search(r"^Pages: (\S+) ", printed, re.MULTILINE)
        assert page
        assert (
            subprocess.run(
                ["curl", "--fail", "--silent", "--noproxy", "127.0.0.1", page[1]], capture_output=True
            ).returncode
            == 0
        )
        assert "not promoted" in printed
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to every process
        status = process.wait(PATIENCE)
    assert status == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_usual_port_is_passed_over_where_somebody_has_it(tmp_path: Path) -> None:
    with demo.told_when_ready(tmp_path, "L1") as usual, socket.socket() as taken:
        taken.bind((demo.HOST, usual))
        taken.listen()
        with demo.told_when_ready(tmp_path, "L1") as other:
            assert other > usual
