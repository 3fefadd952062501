"""Starts the website on one address with one process and several threads. Knows no page and no model."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import os
import socket
from typing import Any

from _cli import CommandParser, run_command

from derm_core.errors import ConfigError

DEFAULT_BIND = "127.0.0.1:5000"
SECONDS_FOR_ONE_ANSWER = 120


def main() -> None:
    arguments = parse_arguments()
    host, port = parse_bind(os.environ.get("DERM_BIND") or DEFAULT_BIND)
    host, port = arguments.host or host, port if arguments.port is None else arguments.port
    check_free(host, port)
    # The one place that decides how many cores one answer uses here: half of them, so that a second visitor's answer
    # runs beside the first; small networks gain little from more than four.
    os.environ.setdefault("DERM_THREADS", str(max(1, min(4, (os.cpu_count() or 2) // 2))))
    prepare()
    if not is_loopback(host) and os.environ.get("DERM_HTTPS", "0") in ("", "0"):
        print(
            f"Listening on {host} without HTTPS: see 'On a network' in the README before patients' pictures come in."
        )
    if os.name == "nt":
        serve_with_waitress(host, port, arguments.threads)
    else:
        serve_with_gunicorn(host, port, arguments.threads)


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(
        prog="scripts/server",
        description="Serves the website, with its database brought up to date and the model that DERM_MODEL names.",
        epilog="Press Ctrl+C to stop. The settings are in the README.",
    )
    parser.add_argument(
        "--host", help="where to listen (default: DERM_BIND, or 127.0.0.1: this machine only)"
    )
    parser.add_argument("--port", type=int, help="(default: DERM_BIND, or 5000)")
    parser.add_argument(
        "--threads",
        type=int,
        default=40,
        metavar="N",
        help="requests that are served at once, those included that wait for the model (default: 40)",
    )
    arguments = parser.parse_args()
    if arguments.port is not None and not 0 < arguments.port < 65536:
        parser.error(f"--port is {arguments.port}; wanted: 1 to 65535")
    if arguments.threads < 1:
        parser.error(f"--threads is {arguments.threads}; wanted: 1 or more")
    return arguments


def parse_bind(text: str) -> tuple[str, int]:
    """Returns host and port of `HOST:PORT`; an IPv6 host stands in brackets."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"DERM_BIND is {text!r}. Wanted: HOST:PORT, such as {DEFAULT_BIND}.")
    return host, int(port)


def check_free(host: str, port: int) -> None:
    """Raises ConfigError where the address cannot be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name != "nt":
                # An address that a server has just left is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as err:
        if isinstance(err, socket.gaierror) or err.errno == errno.EADDRNOTAVAIL:
            raise ConfigError(
                f"{host} is no address of this machine ({err.strerror or err}). Name one that is, or 0.0.0.0 for all "
                "of them: scripts/server --host 127.0.0.1"
            ) from err
        # Ports below 1024 are the administrator's: nothing need listen there.
        step, other = "Stop what listens there, or choose", port + 1 if port < 65535 else 5000
        if err.errno == errno.EACCES:
            step, other = "Choose", 5000
        raise ConfigError(
            f"Port {port} of {host} cannot be used: {err.strerror or err}. {step} another: "
            f"scripts/server --port {other}"
        ) from err


def prepare() -> None:
    """Checks the settings and brings the database up to date, so that what is wrong is said in one line."""
    from sqlalchemy.exc import OperationalError

    from web import create_app
    from web.database import db, upgrade_database

    try:
        app = create_app()
        upgrade_database(app)
        with app.app_context():
            # The process that serves is a copy of this one, and must not share its connections.
            db.engine.dispose()
    except OperationalError as err:
        reason = str(err.orig).strip()
        end = "" if reason.endswith((".", "?")) else "."  # PostgreSQL writes sentences, SQLite words
        raise ConfigError(
            f"The database cannot be used: {reason}{end} Check DERM_DATABASE_URL and DERM_HOME."
        ) from err
    except OSError as err:
        raise ConfigError(f"{err}. Set DERM_HOME to a folder that can be written.") from err


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def announce(host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    print(f"Dermatrace is ready on http://{shown}:{port} (Ctrl+C stops it)", flush=True)


def serve_with_gunicorn(host: str, port: int, threads: int) -> None:
    from gunicorn.app.base import BaseApplication

    options = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        # One process: the model is in memory once, and its answers do not compete for the cores unseen.
        "workers": 1,
        "worker_class": "gthread",
        "threads": threads,
        "timeout": SECONDS_FOR_ONE_ANSWER,
        "loglevel": "warning",
        "control_socket_disable": True,
        "post_worker_init": lambda worker: announce(host, port),
    }

    class Site(BaseApplication):
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            from web.wsgi import app

            return app

    Site().run()


def serve_with_waitress(host: str, port: int, threads: int) -> None:
    from waitress import create_server

    from web.wsgi import app

    server = create_server(app, host=host, port=port, threads=threads)
    announce(host, port)
    server.run()


if __name__ == "__main__":
    run_command(main)
