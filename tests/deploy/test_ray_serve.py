"""deploy/ray_serve: the model server, really started in processes of its own, asked over HTTP, and ended."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from derm_core.serving.loading import load_predictor

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS_TO_START, SECONDS_TO_END = 600.0, 60.0
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="THE RAY SERVE DEPLOYMENT IS NOT TESTED: ray is not installed: pip install 'ray[serve]'",
)


@dataclass(frozen=True)
class Server:
    """A running server: its address and its first process."""

    address: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that answers with the bundled model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Ray puts sockets there, whose paths must be short, and a token into the home.
    place = Path(tempfile.mkdtemp(prefix="ray-"))
    environment = os.environ | {"HOME": str(place), "RAY_TMPDIR": str(place), "DERM_HOME": str(place)}
    command = [sys.executable, "-m", "deploy.ray_serve.app", "--port", str(port)]
    log = place / "log.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while "answers on" not in log.read_text("utf-8", "replace"):
            assert process.poll() is None, log.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
            time.sleep(0.2)
        yield Server(f"http://127.0.0.1:{port}", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_TO_END) == 0, log.read_text("utf-8", "replace")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(place, ignore_errors=True)


def asked(address: str, body: bytes | None = None, kind: str = "image/jpeg") -> tuple[int, Any]:
    request = urllib.request.Request(address, body, {"content-type": kind})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_TO_END) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)


def test_it_answers_over_http_as_the_predictor_does(server: Server, tiny_pictures: list[Path]) -> None:
    address = server.address
    predictor = load_predictor("bundled", device="cpu")
    status, told = asked(address)
    assert status == 200
    assert told["model_sha256"] == predictor.description.weights_sha256
    for picture in tiny_pictures[:2]:
        wanted = predictor.predict(picture)
        status, answer = asked(address, picture.read_bytes())
        assert status == 200
        assert answer["probabilities"] == pytest.approx(dict(wanted.probabilities), abs=1e-6)
        assert (answer["top"], answer["advice"]) == (wanted.top, wanted.advice)
    status, answer = asked(f"{address}/?heatmap=mel", tiny_pictures[0].read_bytes())
    assert (status, answer["heatmap"]["code"]) == (200, "mel")
    assert asked(address, b"no picture")[0] == 422
    assert asked(address, b"no picture", "text/plain")[0] == 415
    assert asked(f"{address}/?age=old", tiny_pictures[0].read_bytes())[0] == 400


def test_all_it_can_say_listens_on_the_loopback_alone(server: Server) -> None:
    psutil = pytest.importorskip("psutil")
    started = psutil.Process(server.process.pid)
    listening = [
        (process.name(), place.laddr.ip)
        for process in (started, *started.children(recursive=True))
        for place in process.net_connections("inet")
        if place.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 2
    outside = [name for name, ip in listening if ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")]
    # Serve opens a port of each replica for other deployments on all addresses, and has no setting for that.
    assert [name for name in outside if not name.startswith("ray::Serve")] == []
    assert len(outside) <= 1
