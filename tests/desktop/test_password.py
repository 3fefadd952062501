"""An app that is open to a network: only by a password, under its own names, and not to be guessed."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from derm_core import ConfigError
from desktop import build_interface
from desktop import password as module
from desktop.guard import Guard
from desktop.password import Password
from desktop.server import serve
from desktop.uploads import upload_folder
from tests.desktop.conftest import FakePredictor

RIGHT = "correct horse battery"


def test_it_wants_the_name_and_the_whole_password() -> None:
    password = Password(RIGHT)
    assert password("desk", RIGHT)
    assert not password("desk", RIGHT[:-1])
    assert not password("mira", RIGHT)
    assert not password("desk", "")
    assert not password("desk", "ü" * 20)


def test_after_five_wrong_ones_nobody_gets_in_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    password = Password(RIGHT)
    assert [password("desk", f"guess number {number}") for number in range(5)] == [False] * 5
    assert not password("desk", RIGHT)
    now += 61
    assert password("desk", RIGHT)


@pytest.mark.parametrize("password", ["", "short"])
def test_without_a_password_the_network_is_kept_out(password: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"On 0\.0\.0\.0 others of the network could use the app"),
        serve(object(), port=7860, host="0.0.0.0", password=password),  # type: ignore[arg-type]
    ):
        pass


@pytest.mark.usefixtures("no_event_loop_is_left")
def test_with_a_password_nothing_is_shown_before_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def answer(path: str, form: dict[str, str] | None = None) -> int:
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with opener.open(f"{address}{path}", body, timeout=60) as got:
                return int(got.status)
        except urllib.error.HTTPError as err:
            err.close()
            return err.code

    with upload_folder(port) as folder:
        (folder / "mole.jpg").write_bytes(b"pixels")
        interface = build_interface(FakePredictor())  # type: ignore[arg-type]
        with serve(interface, port=port, password=RIGHT) as address:
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            closed = ("/config", "/gradio_api/info", f"/gradio_api/file={folder / 'mole.jpg'}")
            assert [answer(path) for path in closed] == [401, 401, 401]
            assert answer("/gradio_api/upload", {}) == 401
            assert answer("/gradio_api/queue/join", {}) == 401
            assert answer("/login", {"username": "desk", "password": "wrong"}) == 400
            assert answer("/login", {"username": "desk", "password": RIGHT}) == 200
            assert answer("/config") == 200


def status(host: str, named: str) -> int:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    guard = Guard(app, port=7860, host=host)
    asyncio.run(guard({"type": "http", "headers": [(b"host", named.encode())]}, None, send))  # type: ignore[arg-type]
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("host", "named", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:7860", 200),
        ("127.0.0.1", "localhost:7860", 200),
        ("127.0.0.1", "192.168.0.9:7860", 421),
        ("127.0.0.1", "evil.example:7860", 421),
        ("0.0.0.0", "192.168.0.9:7860", 200),
        ("0.0.0.0", "[fe80::1]:7860", 200),
        ("0.0.0.0", "192.168.0.9:80", 421),
        ("0.0.0.0", "evil.example:7860", 421),
        ("::1", "[::1]:7860", 200),
    ],
)
def test_it_answers_under_its_own_names_alone(host: str, named: str, expected: int) -> None:
    assert status(host, named) == expected
