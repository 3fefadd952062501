#!/usr/bin/env python3
"""Puts many users on the website at once, and on a naive Flask view with Captum in the same run: ratios of the two."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from _cli import CommandParser, run_command

from _benchmark_networks import drawn_photograph
from _load_users import Outcome, User, multipart, run_users, sign_in_users, summary, wait_until

from derm_core.errors import ConfigError

HERE = Path(__file__).parent
OURS, NAIVE = "website", "naive view"
ORDER = (OURS, NAIVE, NAIVE, OURS)
"""Each side gets half of its time before the other and half after it, so that a drift of the machine hits both."""
_SECONDS_TO_START = 180.0


def main() -> None:
    arguments = parse_arguments()
    picture = read_picture(arguments.image)
    with ExitStack() as stack:
        ports = {
            OURS: stack.enter_context(website(arguments.threads, arguments.model)),
            NAIVE: stack.enter_context(naive_view(arguments.threads, arguments.model)),
        }
        users = {
            OURS: sign_in_users(ports[OURS], arguments.users),
            NAIVE: [User(ports[NAIVE], "/predict") for _ in range(arguments.users)],
        }
        warm_up(users, picture)
        figures = measure(users, picture, arguments.seconds)
    report = {"users": arguments.users, "seconds": arguments.seconds, **figures, "ratio": ratios(figures)}
    print(readable(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(
        prog="scripts/load_website.py",
        description="Sends photographs from many users at once to the website as scripts/server starts it, and to a "
        "naive Flask view that runs the same network with Captum and keeps nothing. Both listen on this machine alone, "
        "on a home folder of their own.",
        epilog="A user sends the next photograph when the answer is there; after a 503 it waits as it was told to.",
    )
    parser.add_argument("--users", type=int, default=30, metavar="N", help="at once (default: 30)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=120,
        metavar="S",
        help="for each of the two, in two turns (default: 120)",
    )
    parser.add_argument(
        "--threads", type=int, default=40, metavar="N", help="of each server (default: 40, as scripts/server)"
    )
    parser.add_argument(
        "--model", default="bundled", metavar="NAME|FOLDER", help="(default: the bundled one)"
    )
    parser.add_argument("--image", type=Path, metavar="FILE", help="the photograph (default: a drawn one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    arguments = parser.parse_args()
    for name in ("users", "seconds", "threads"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name} is {getattr(arguments, name)}; wanted: more than 0")
    return arguments


def read_picture(path: Path | None) -> bytes:
    """Returns the photograph's file; raises ConfigError where it cannot be read."""
    try:
        return path.read_bytes() if path else drawn_photograph()
    except OSError as err:
        raise ConfigError(f"{path} cannot be read: {err.strerror}. Name a photograph.") from err


@contextmanager
def website(threads: int, model: str) -> Iterator[int]:
    """Serves the website on a new home folder, until its model is loaded; gives its port."""
    with tempfile.TemporaryDirectory(prefix="dermatrace-load-") as home:
        port = free_port()
        settings = {"DERM_HOME": home, "DERM_MODEL": model}
        command = [
            str(HERE / "_server.py"),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--threads",
            str(threads),
        ]
        with served(command, settings) as runs:
            wait_until(lambda: runs() and status_of(port, "/readyz") == 200, _SECONDS_TO_START, "The website")
            yield port


@contextmanager
def naive_view(threads: int, model: str) -> Iterator[int]:
    """Serves the naive view; gives its port."""
    port = free_port()
    with served([str(HERE / "_load_naive.py"), str(port), str(threads), model], {}) as runs:
        wait_until(lambda: runs() and status_of(port, "/predict") == 405, _SECONDS_TO_START, "The naive view")
        yield port


@contextmanager
def served(command: list[str], settings: dict[str, str]) -> Iterator[Callable[[], bool]]:
    """Runs a server for as long as it is needed, with settings of its own; gives what tells whether it still runs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DERM_")}
    kept = {
        name: os.environ[name]
        for name in ("DERM_THREADS", "DERM_DEVICE", "DERM_RUNTIME")
        if name in os.environ
    }
    with subprocess.Popen(
        [sys.executable, *command],
        env=inherited | kept | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:

        def runs() -> bool:
            if process.poll() is None:
                return True
            raise RuntimeError(f"{Path(command[0]).name} ended with status {process.returncode}.")

        try:
            yield runs
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(port: int, path: str) -> int | None:
    """Returns the status of a page, or None where nobody answers yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def warm_up(users: dict[str, list[User]], picture: bytes) -> None:
    """Has each side answer once; raises ConfigError where the photograph is none that it answers."""
    for side, some in users.items():
        status, _ = some[0].send_once(multipart({"csrf_token": some[0].token}, picture))
        if status != some[0].expects:
            raise ConfigError(
                f"The {side} answered the photograph with status {status}. Name another with --image."
            )


def measure(users: dict[str, list[User]], picture: bytes, seconds: float) -> dict[str, dict[str, Any]]:
    """Lets the sides take turns, and returns the figures of each."""
    elapsed = dict.fromkeys(users, 0.0)
    for number, side in enumerate(ORDER, 1):
        print(f"turn {number} of {len(ORDER)}: {side}", file=sys.stderr, flush=True)
        elapsed[side] += run_users(users[side], picture, seconds / ORDER.count(side))
    outcomes: dict[str, list[Outcome]] = {
        side: [outcome for user in some for outcome in user.outcomes] for side, some in users.items()
    }
    return {side: summary(outcomes[side], elapsed[side]) for side in users}


def ratios(figures: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Returns each figure of ours as a multiple of the naive view's; None where that one has none."""
    ours, naive = figures[OURS], figures[NAIVE]
    names = ("per_second", "p50_seconds", "p99_seconds")
    return {name: ours[name] / naive[name] if ours[name] and naive[name] else None for name in names}


def readable(report: dict[str, Any]) -> str:
    """Writes the figures as a small table."""
    lines = [f"{report['users']} users, {report['seconds']:g} s for each side"]
    for side in (OURS, NAIVE):
        found = report[side]
        errors = ", ".join(f"{count} x {kind}" for kind, count in found["errors"].items()) or "no errors"
        lines.append(
            f"{side + ':':12} {found['per_second']:6.1f} answers/s, p50 {_seconds(found['p50_seconds'])}, "
            f"p99 {_seconds(found['p99_seconds'])}, {errors}"
        )
    ratio = report["ratio"]
    lines.append(
        f"{'ratio:':12} {_times(ratio['per_second'])} the answers/s, {_times(ratio['p50_seconds'])} the p50, "
        f"{_times(ratio['p99_seconds'])} the p99 of the naive view"
    )
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"


def _times(value: float | None) -> str:
    return "none of" if value is None else f"{value:.2f} times"


if __name__ == "__main__":
    run_command(main)
