"""The start of the website: where it listens, what it refuses in one line, and that it answers."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import _server
import pytest

from derm_core import ConfigError

SCRIPT = Path(_server.__file__)


def environment(home: Path, **settings: str) -> dict[str, str]:
    return os.environ | {"DERM_HOME": str(home)} | settings


def start_and_fail(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:5000", ("::1", 5000)),
        ("clinic.example:8000", ("clinic.example", 8000)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, bind: tuple[str, int]) -> None:
    assert _server.parse_bind(text) == bind


@pytest.mark.parametrize(
    "text", ["5000", ":5000", "localhost", "localhost:", "localhost:http", "localhost:70000"]
)
def test_another_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="Wanted: HOST:PORT"):
        _server.parse_bind(text)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("clinic.example", False)],
)
def test_it_knows_whether_others_can_reach_it(host: str, alone: bool) -> None:
    assert _server.is_loopback(host) is alone


def test_a_taken_port_is_one_sentence(tmp_path: Path, taken_port: int) -> None:
    done = start_and_fail(tmp_path, "--port", str(taken_port))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"Port {taken_port} of 127.0.0.1 cannot be used" in done.stderr
    assert f"--port {taken_port + 1}" in done.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused_as_that(host: str, free_port: int) -> None:
    with pytest.raises(ConfigError, match=r"is no address of this machine .*--host 127\.0\.0\.1"):
        _server.check_free(host, free_port)


def test_a_port_that_only_root_may_use_is_refused_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigError, match=r"Port 80 .*: Permission denied\. Choose another: .*--port 5000"):
        _server.check_free("127.0.0.1", 80)


def test_a_database_that_cannot_be_opened_is_two_sentences(tmp_path: Path, free_port: int) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'file'}"
    done = start_and_fail(tmp_path, "--port", str(free_port), DERM_DATABASE_URL=url)
    assert done.returncode == 2
    assert "The database cannot be used: unable to open database file. Check DERM_DATABASE_URL" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--port", "0"), "1 to 65535"), (("--threads", "0"), "1 or more"), (("--prot", "1"), "")],
)
def test_wrong_arguments_are_one_line(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    done = start_and_fail(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"DERM_SECRET_KEY": "short"},
        {"DERM_DATABASE_URL": "mysql://localhost/derm"},
        {"DERM_DATABASE_URL": "postgresql://somebody:hush@127.0.0.1:1/derm"},
        {"DERM_HOME": "/dev/null/home"},
        {"DERM_BIND": "localhost"},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_a_wrong_setting_is_one_line_that_names_it_and_no_password(
    tmp_path: Path, free_port: int, settings: dict[str, str]
) -> None:
    done = start_and_fail(tmp_path, "--port", str(free_port), **settings)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert next(iter(settings)) in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGINT for one process")
def test_it_says_where_it_is_answers_there_and_stops_when_asked(tmp_path: Path, free_port: int) -> None:
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--port", str(free_port)],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            found = re.fullmatch(
                r"Dermatrace is ready on (http://127\.0\.0\.1:\d+) \(Ctrl\+C stops it\)\n", line
            )
            assert found, line + server.communicate(timeout=60)[1]
            with urllib.request.urlopen(found[1], timeout=60) as answer:
                assert answer.status == 200
                assert b"Dermatrace" in answer.read()
        finally:
            server.send_signal(signal.SIGINT)
            output, errors = server.communicate(timeout=60)
    assert server.returncode == 0
    assert "Traceback" not in output + errors
