"""Starts the offline app on one port of this machine and shows it in a window of its own. Knows no page."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from _cli import CommandParser, run_command

from derm_core.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from derm_core import Predictor
    from desktop.desk import Desk
    from desktop.model_loader import ModelLoader
    from desktop.window import Window

DEFAULT_PORT = 7860
HOST = "127.0.0.1"
PASSWORD = "DERM_DESKTOP_PASSWORD"


def main() -> None:
    arguments = parse_arguments()
    if arguments.menu:
        add_menu_entry()
        return
    check_free(arguments.host, arguments.port)
    password = given_password(arguments)
    print("Loading the model ...", flush=True)
    # PyTorch reads this when it is imported. Threads that wait in a loop would take the cores from decoding.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Here, because they take seconds: wrong arguments and a taken port are told at once.
    from desktop import build_interface, serve
    from desktop.case_opening import swept_case_list
    from desktop.uploads import home, upload_folder
    from desktop.window import choose_window, has_screen

    with ExitStack() as stack:
        try:
            stack.enter_context(upload_folder(arguments.port))
        except OSError as err:
            raise ConfigError(f"{err}. Set DERM_HOME to a folder that can be written.") from err
        window = None
        if not arguments.no_browser and has_screen():
            window = choose_window(home() / "window" / str(arguments.port))
        desk = make_desk(arguments, window)
        stack.callback(tell_of_trainings)
        stack.callback(desk.close)
        stack.enter_context(swept_case_list())
        stop = stack.enter_context(stopping())
        address = stack.enter_context(
            serve(build_interface(desk), port=arguments.port, host=arguments.host, password=password)
        )
        # The libraries, the page and the model stay: searching them for garbage would take time from each answer.
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        print(f"Dermatrace is ready on {address} (Ctrl+C stops it)", flush=True)
        if window is not None and window.show(address, stop):
            wait_for_work(desk, stop)
            return
        # In steps, because Windows delivers no signal to a wait without an end.
        while not stop.wait(0.5):
            pass


def make_desk(arguments: argparse.Namespace, window: Window | None) -> Desk:
    """Loads the model and what belongs to it."""
    from derm_core import explanation_methods, load_similar_cases, machine_state
    from derm_core.serving.devices import named_threads
    from desktop.chosen_model import remember_model, remembered_model
    from desktop.desk import Desk
    from desktop.machine import machine_notice
    from desktop.model_loader import ModelLoader
    from desktop.window import folder_picker

    # With a core for a pass, most of many pictures get done.
    loader = ModelLoader(threads=named_threads() or 1)
    model = arguments.model or os.environ.get("DERM_MODEL")
    predictor = loader.load(model) if model else load_remembered(loader, remembered_model())
    cases = load_similar_cases(arguments.cases, predictor.description) if arguments.cases else None
    return Desk(
        predictor,
        load=loader.load,
        quicken=loader.for_many,
        remember=remember_model,
        methods=explanation_methods,
        cases=cases,
        pick_folder=folder_picker(window),
        machine=machine_state,
        notice=machine_notice(machine_state(predictor)),
    )


def load_remembered(loader: ModelLoader, model: str | None) -> Predictor:
    """Loads the model that was chosen last, or the bundled one where that is gone."""
    if model is not None:
        try:
            return loader.load(model)
        except BundleError as err:
            print(f"The model chosen last cannot be used: {err}", file=sys.stderr)
    return loader.load(None)


def wait_for_work(desk: Desk, stop: threading.Event) -> None:
    """Lets a folder be answered to its end after the window was closed."""
    if desk.is_busy:
        print("The window is closed; the folder is being answered to its end. Ctrl+C stops it.", flush=True)
    while desk.is_busy and not stop.wait(0.5):
        pass


def tell_of_trainings() -> None:
    """Says what does not end with the app."""
    from desktop.training_runs import known_runs

    for run in known_runs():
        if run.active is not None:
            print(
                f"The work on {run.name} goes on by itself; the next start of the app finds it again.",
                flush=True,
            )


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(
        prog="scripts/desktop",
        description="Starts the offline app, with the model that was chosen last or that DERM_MODEL names, and opens "
        "its window.",
        epilog="It listens to this machine alone, unless --host says otherwise. Press Ctrl+C to stop. The settings are "
        "in the README.",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port (default: {DEFAULT_PORT})")
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default=HOST,
        help=f"address of this machine (default: {HOST}); any but a loopback one lets others of the network in, by a "
        "password",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        help=f"its first line is the password, 12 characters or more (default: what {PASSWORD} holds)",
    )
    parser.add_argument(
        "--model", metavar="NAME|FOLDER", help="'bundled', a registered name, or a bundle's folder"
    )
    parser.add_argument(
        "--cases",
        metavar="FOLDER",
        type=Path,
        help="an index of confirmed cases that scripts/index_cases.py made with this model: similar ones are shown",
    )
    parser.add_argument("--no-browser", action="store_true", help="open no window, only print the address")
    parser.add_argument(
        "--menu", action="store_true", help="add the app and its icon to the desktop's menu, and end (Linux)"
    )
    arguments = parser.parse_args()
    if not 0 < arguments.port < 65536:
        parser.error(f"--port is {arguments.port}; wanted: 1 to 65535")
    try:
        ip_address(arguments.host)
    except ValueError:
        parser.error(f"--host is {arguments.host!r}; wanted: an address such as 127.0.0.1 or 0.0.0.0")
    return arguments


def given_password(arguments: argparse.Namespace) -> str:
    """Returns the password; empty where none was given and none is needed.

    Raises:
        ConfigError: it cannot be read, or the app would be open to a network without one.
    """
    password = os.environ.get(PASSWORD, "")
    if arguments.password_file is not None:
        try:
            password = (arguments.password_file.read_text("utf-8").splitlines() or [""])[0]
        except (OSError, UnicodeDecodeError) as err:
            reason = err.strerror if isinstance(err, OSError) else "it is not text"
            raise ConfigError(
                f"--password-file {arguments.password_file} cannot be read ({reason})."
            ) from err
    is_open = not ip_address(arguments.host).is_loopback
    if (is_open or password) and len(password) < 12:
        raise ConfigError(
            f"{'On ' + arguments.host + ' others of the network could use the app: that' if is_open else 'That'} "
            f"takes a password of 12 characters or more, by --password-file or {PASSWORD}."
        )
    return password


def check_free(host: str, port: int) -> None:
    """Raises ConfigError where the port cannot be listened on."""
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            if os.name != "nt":
                # A port that an app has just left is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as err:
        another = port + 1 if port < 65535 else DEFAULT_PORT
        raise ConfigError(
            f"Port {port} of {host} cannot be used: {err.strerror or err}. If the app is running already, open "
            f"http://{host}:{port}; or choose another: scripts/desktop --port {another}"
        ) from err


def add_menu_entry() -> None:
    """Adds the app to the desktop's menu; raises ConfigError where that cannot be."""
    from desktop.menu import add_to_menu

    if sys.platform != "linux":
        raise ConfigError(
            "--menu is for the desktops of Linux. Elsewhere make a shortcut to scripts/desktop."
        )
    try:
        files = add_to_menu(Path(__file__).resolve().with_name("desktop"))
    except OSError as err:
        raise ConfigError(f"{err.filename} cannot be written ({err.strerror}).") from err
    print("\n".join(f"Wrote {file}" for file in files))


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


if __name__ == "__main__":
    run_command(main)
