"""The guard: only this machine's own names are answered, and every answer forbids other hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from desktop.guard import HEADERS, POLICY, Guard


async def page(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"Referrer-Policy", b"unsafe-url")]}
    )
    await send({"type": "http.response.body", "body": b"page"})


def request(host: bytes | None) -> tuple[int, list[tuple[bytes, bytes]]]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [] if host is None else [(b"host", host)]
    asyncio.run(Guard(page, port=7860)({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], sent[0]["headers"]


@pytest.mark.parametrize("host", [b"127.0.0.1:7860", b"localhost:7860"])
def test_this_machine_is_answered(host: bytes) -> None:
    assert request(host)[0] == 200


@pytest.mark.parametrize(
    "host", [b"evil.example", b"evil.example:7860", b"127.0.0.1", b"127.0.0.1:80", b"", None]
)
def test_a_foreign_name_is_refused(host: bytes | None) -> None:
    assert request(host)[0] == 421


@pytest.mark.parametrize("host", [b"localhost:7860", b"evil.example"])
def test_every_answer_has_the_headers_once(host: bytes) -> None:
    names = [name.decode().lower() for name, _ in request(host)[1]]
    assert [names.count(name) for name in HEADERS] == [1] * len(HEADERS)


def test_the_policy_names_no_other_host() -> None:
    assert "://" not in POLICY
    assert "*" not in POLICY
    assert POLICY.startswith("default-src 'self'; ")
