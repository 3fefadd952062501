"""Starts the offline app on one port of this machine and shows it in a browser. Knows no page."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from _cli import CommandParser, run_command
from derm_core.errors import ConfigError

DEFAULT_PORT = 7860
HOST = "127.0.0.1"


def main() -> None:
    arguments = parse_arguments()
    check_free(arguments.port)
    print("Loading the model ...", flush=True)
    # Here, because they take seconds: wrong arguments and a taken port are told at once.
    from derm_core import load_predictor

    predictor = load_predictor()

    from desktop import build_interface, serve
    from desktop.uploads import upload_folder

    with ExitStack() as stack:
        try:
            stack.enter_context(upload_folder(arguments.port))
        except OSError as err:
            raise ConfigError(f"{err}. Set DERM_HOME to a folder that can be written.") from err
        stop = stack.enter_context(stopping())
        address = stack.enter_context(serve(build_interface(predictor), port=arguments.port))
        print(f"Dermatrace is ready on {address} (Ctrl+C stops it)", flush=True)
        if not arguments.no_browser and has_browser():
            webbrowser.open(address)
        # In steps, because Windows delivers no signal to a wait without an end.
        while not stop.wait(0.5):
            pass


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(
        prog="scripts/desktop",
        description="Starts the offline app, with the model that DERM_MODEL names, and opens it in a browser.",
        epilog="It listens to this machine alone. Press Ctrl+C to stop. The settings are in the README.",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"port on {HOST} (default: {DEFAULT_PORT})"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    arguments = parser.parse_args()
    if not 0 < arguments.port < 65536:
        parser.error(f"--port is {arguments.port}; wanted: 1 to 65535")
    return arguments


def check_free(port: int) -> None:
    """Raises ConfigError where the port cannot be listened on."""
    try:
        with socket.socket() as probe:
            if os.name != "nt":
                # A port that an app has just left is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            probe.listen(1)
    except OSError as err:
        another = port + 1 if port < 65535 else DEFAULT_PORT
        raise ConfigError(
            f"Port {port} of {HOST} cannot be used: {err.strerror or err}. If the app is running already, open "
            f"http://{HOST}:{port}; or choose another: scripts/desktop --port {another}"
        ) from err


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Gives an event that Ctrl+C and a request to end set, so that the app ends in order."""
    stop = threading.Event()
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in wanted]
    try:
        yield stop
    finally:
        for number, handler in zip(wanted, before, strict=True):
            signal.signal(number, handler)


def has_browser() -> bool:
    """Whether there is a screen to open a browser on: a browser inside the terminal would be of no use."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    run_command(main)
