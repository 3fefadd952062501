"""The app's own window: pywebview's where that is installed, a browser's without its bars, or a tab of the browser.

Knows no page. None of them asks another host for anything.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import webbrowser
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

TITLE = "Dermatrace"
_SIZE = (1280, 900)
_APP_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "msedge",
    "brave-browser",
)
# What a browser does on its own: looks for updates, reports, asks its maker what is new.
_SILENT = (
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--metrics-recording-only",
    "--no-pings",
    "--safebrowsing-disable-auto-update",
)
_QT_FLAGS = "QTWEBENGINE_CHROMIUM_FLAGS"


class Window(ABC):
    """A way of showing the app.

    Args:
        profile: a folder of the app's own for what a browser keeps.
    """

    kind = ""

    def __init__(self, profile: Path) -> None:
        self.profile = profile

    @abstractmethod
    def show(self, address: str, stop: threading.Event) -> bool:
        """Shows the app until the window is closed or `stop` is set.

        Returns whether the window was waited for; False where nobody can tell when it is closed.
        """

    def pick_folder(self) -> str | None:
        """Asks for a folder; None where none was chosen."""
        return None


class WebviewWindow(Window):
    """A window of the system with a web view in it; another one where the library has none to show here.

    Args:
        profile: as Window takes it.
        other: shows the app where this one cannot.
    """

    kind = "webview"

    def __init__(self, profile: Path, other: Window) -> None:
        super().__init__(profile)
        self._other = other
        self._window: Any = None
        self._webview: Any = importlib.import_module("webview")

    def show(self, address: str, stop: threading.Event) -> bool:
        return self._shown(address, stop) or self._other.show(address, stop)

    def _shown(self, address: str, stop: threading.Event) -> bool:
        """Shows the app, and returns whether that could be."""
        self._webview.settings["ALLOW_DOWNLOADS"] = True
        # It tells at length of each library that it does not find; what matters is said here.
        logging.getLogger("pywebview").setLevel(logging.CRITICAL + 1)
        _be_silent()
        window = self._webview.create_window(TITLE, address, width=_SIZE[0], height=_SIZE[1])
        self._window = window
        ended = threading.Event()

        def close_when_asked() -> None:
            while not ended.is_set():
                if stop.wait(0.5) and not ended.is_set():
                    window.destroy()
                    return

        closing = threading.Thread(target=close_when_asked, name="derm-window", daemon=True)
        closing.start()
        interrupted = signal.getsignal(signal.SIGINT)
        try:
            # GTK, which it would try first, is seldom there for the Python of a project.
            self._webview.start(private_mode=True, gui="qt" if _has_qt() else None)
        except self._webview.WebViewException as err:
            log.warning("pywebview cannot open a window here: %s", err)
            self._window = None
        finally:
            ended.set()
            closing.join()
            # It puts a handler of its own there.
            signal.signal(signal.SIGINT, interrupted)
        return self._window is not None

    def pick_folder(self) -> str | None:
        if self._window is None:
            other = folder_picker(self._other)
            return other() if other else None
        chosen = self._window.create_file_dialog(self._webview.FileDialog.FOLDER, directory=str(Path.home()))
        return str(chosen[0]) if chosen else None


class AppWindow(Window):
    """A window of a browser of the Chromium family, without its bars, with a profile of its own."""

    kind = "app"

    def __init__(self, profile: Path, browser: str) -> None:
        super().__init__(profile)
        self._browser = browser

    def command(self, address: str) -> list[str]:
        """Returns the command that opens it."""
        own = [f"--app={address}", f"--user-data-dir={self.profile}", f"--window-size={_SIZE[0]},{_SIZE[1]}"]
        return [self._browser, *own, *_SILENT, *_as_root()]

    def show(self, address: str, stop: threading.Event) -> bool:
        self.profile.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = subprocess.Popen(
            self.command(address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while process.poll() is None and not stop.wait(0.5):
                pass
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
        return True


class TabWindow(Window):
    """A tab of the browser that the user has chosen."""

    kind = "tab"

    def show(self, address: str, stop: threading.Event) -> bool:
        webbrowser.open(address)
        return False


def choose_window(profile: Path) -> Window:
    """Returns the best way of showing the app that this machine has."""
    browser = next(filter(None, map(shutil.which, _APP_BROWSERS)), None)
    window = AppWindow(profile, browser) if browser else TabWindow(profile)
    return WebviewWindow(profile, window) if importlib.util.find_spec("webview") is not None else window


def has_screen() -> bool:
    """Whether there is a screen to open a window on: a browser inside the terminal would be of no use."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def folder_picker(window: Window | None) -> Callable[[], str | None] | None:
    """Returns what asks the user for a folder: the window itself, or a dialog of the desktop; None without either."""
    if isinstance(window, WebviewWindow):
        return window.pick_folder
    dialogs = {
        "zenity": ["--file-selection", "--directory", f"--title={TITLE}"],
        "kdialog": ["--getexistingdirectory", str(Path.home())],
    }
    if window is None or sys.platform in ("win32", "darwin"):
        return None
    for name, arguments in dialogs.items():
        if found := shutil.which(name):
            command = [found, *arguments]
            return lambda: _asked(command)
    return None


def _as_root() -> tuple[str, ...]:
    """Chromium refuses to start as root with its sandbox; all it will show is this app."""
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()


def _be_silent() -> None:
    """Tells the Chromium inside Qt the same as a browser; the other web views are the system's own."""
    told = os.environ.get(_QT_FLAGS, "").split()
    os.environ[_QT_FLAGS] = " ".join([*told, *_SILENT, *_as_root()])


def _has_qt() -> bool:
    return sys.platform == "linux" and importlib.util.find_spec("qtpy") is not None


def _asked(command: list[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.rstrip("\n") or None if done.returncode == 0 else None
