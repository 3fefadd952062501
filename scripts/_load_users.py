"""Users who send one photograph after the other over HTTP, and what became of it. Starts no server."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

BOUNDARY = "----dermatrace-load"
PASSWORD = "load of many users"
SESSIONS_OF_ONE_ACCOUNT = 10
_SECONDS_TO_ANSWER = 120
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class Outcome:
    """One request: `kind` is answered, or what went wrong instead; `seconds` from sending to the last byte."""

    kind: str
    seconds: float


@dataclass
class User:
    """Somebody who sends a photograph to `path`, waits for the answer, and sends the next."""

    port: int
    path: str
    cookie: str = ""
    token: str = ""
    expects: int = 200
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, picture: bytes, stop: threading.Event) -> None:
        """Sends the picture until it is told to stop; after a 503 it waits for as long as it was asked to."""
        body = multipart({"csrf_token": self.token}, picture)
        while not stop.is_set():
            started = time.perf_counter()
            pause = 0.0
            try:
                status, after = self.send_once(body)
                kind = "answered" if status == self.expects else str(status)
                pause = min(float(after or 0), _LONGEST_PAUSE) if status == 503 else 0.0
            except TimeoutError:
                kind = "timeout"
            except (OSError, http.client.HTTPException) as err:
                kind, pause = type(err).__name__, 0.2
            self.outcomes.append(Outcome(kind, time.perf_counter() - started))
            stop.wait(pause)

    def send_once(self, body: bytes) -> tuple[int, str | None]:
        """Sends a form and returns the status, and when to come back where that is told."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS_TO_ANSWER)
        try:
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            if self.cookie:
                headers["Cookie"] = self.cookie
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            response.read()
            return response.status, response.headers.get("Retry-After")
        finally:
            connection.close()


def multipart(fields: Mapping[str, str], picture: bytes) -> bytes:
    """Returns the body of a form with these fields, where they are not empty, and a picture."""
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
    parts = [f'{start}{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items() if value]
    parts.append(f'{start}picture"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'.encode() + picture)
    return b"".join(parts) + f"\r\n--{BOUNDARY}--\r\n".encode()


def run_users(users: Sequence[User], picture: bytes, seconds: float) -> float:
    """Has all users send for so many seconds; returns how long it took until the last answer was there."""
    stop = threading.Event()
    threads = [threading.Thread(target=user.run, args=[picture, stop]) for user in users]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def summary(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Returns answers a second, the percentiles of their seconds, and how often what else came instead."""
    taken = sorted(outcome.seconds for outcome in outcomes if outcome.kind == "answered")
    kinds = Counter(outcome.kind for outcome in outcomes if outcome.kind != "answered")
    return {
        "answered": len(taken),
        "per_second": len(taken) / seconds if seconds else 0.0,
        "p50_seconds": percentile(taken, 0.5),
        "p99_seconds": percentile(taken, 0.99),
        "errors": dict(sorted(kinds.items())),
    }


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Returns the smallest value that at least this share of the values do not exceed; None of none."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None


def sign_in_users(port: int, count: int) -> list[User]:
    """Makes the accounts on the website, ten sessions each, and returns a user for each session."""
    return [User(port, "/new", *_session(port, number), expects=303) for number in range(count)]


def _session(port: int, number: int) -> tuple[str, str]:
    cookies: dict[str, str] = {}

    def ask(method: str, path: str, **values: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS_TO_ANSWER)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": _line(cookies)}
            connection.request(method, path, urlencode(values), headers)
            response = connection.getresponse()
            page = response.read().decode()
            for given in response.headers.get_all("Set-Cookie") or []:
                name, _, value = given.partition(";")[0].partition("=")
                cookies[name] = value
            return page
        finally:
            connection.close()

    account, place = divmod(number, SESSIONS_OF_ONE_ACCOUNT)
    values = {"email": f"user{account}@load.example", "password": PASSWORD}
    path = "/login" if place else "/register"
    if not place:
        values["name"] = f"User {account}"
    ask("POST", path, csrf_token=_token(ask("GET", path)), **values)
    token = _token(ask("GET", "/about"))
    return _line(cookies), token


def _line(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if found is None:
        raise RuntimeError("The website let nobody in: a page without a form came.")
    return found[1]


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Asks again and again; raises TimeoutError where it is not ready in time."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} was not ready after {seconds:.0f} seconds.")
        time.sleep(0.2)
