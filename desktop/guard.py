"""Lets only this machine's own page talk to the app, and tells the browser to load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from socket import gethostname
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Gradio's page runs scripts that stand in it and compiles its templates, so both must be allowed; what matters is
# that no script, picture, font or answer comes from another host, and nothing goes to one.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware: refuses requests under a foreign host name, and puts HEADERS on every answer.

    A page elsewhere could otherwise point its own name at 127.0.0.1 and read what is shown here (DNS rebinding).
    """

    def __init__(self, app: App, port: int, host: str = "127.0.0.1") -> None:
        self._app, self._port = app, port
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost", bracketed(host))}
        # Open to a network, the app has as many names as that gives it. A page elsewhere can point a name of its own
        # here, but no number.
        self._numbers = not ip_address(host).is_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    pair for pair in message.get("headers", ()) if pair[0].decode().lower() not in HEADERS
                ]
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*headers, *own]}
            await send(message)

        if not self._is_mine(dict(scope["headers"]).get(b"host", b"")):
            await _refuse(send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _is_mine(self, host: bytes) -> bool:
        if host in self._hosts:
            return True
        name, _, port = host.decode("latin-1").rpartition(":")
        if not self._numbers or port != str(self._port):
            return False
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return name.lower() in (gethostname().lower(), f"{gethostname().lower()}.local")
        return True


def bracketed(host: str) -> str:
    """Writes an address as it stands before a port."""
    return f"[{host}]" if ":" in host else host


async def _refuse(send: Send) -> None:
    body = b"This app answers only under its own address.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": body})
