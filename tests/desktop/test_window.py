"""The app's window, its entry in the menu, the model it starts with, and the words about the machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from derm_core import MachineState
from desktop.chosen_model import remember_model, remembered_model
from desktop.machine import machine_notice, machine_words
from desktop.menu import add_to_menu
from desktop.window import AppWindow, TabWindow, WebviewWindow, choose_window, folder_picker, has_screen

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for browsers")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_browser_shows_the_app_alone_and_asks_nobody(tmp_path: Path, programs: Path) -> None:
    program(programs, "chromium", f'echo "$@" > {tmp_path}/asked')
    window = choose_window(tmp_path / "profile")
    assert isinstance(window, AppWindow)
    assert window.show("http://127.0.0.1:7860", threading.Event())
    words = (tmp_path / "asked").read_text().split()
    assert words[:2] == ["--app=http://127.0.0.1:7860", f"--user-data-dir={tmp_path / 'profile'}"]
    assert {"--disable-background-networking", "--disable-component-update", "--no-pings"} <= set(words)


def test_a_window_is_closed_when_the_app_ends(tmp_path: Path, programs: Path) -> None:
    sleep = shutil.which("sleep", path="/bin:/usr/bin")
    program(programs, "chromium", f"exec {sleep} 60")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert choose_window(tmp_path / "profile").show("http://127.0.0.1:7860", stop)


def test_without_such_a_browser_it_is_a_tab_that_nobody_waits_for(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    window = choose_window(tmp_path)
    assert isinstance(window, TabWindow)
    assert not window.show("http://127.0.0.1:7860", threading.Event())
    assert shown == ["http://127.0.0.1:7860"]
    assert programs.is_dir()


def test_a_folder_is_asked_for_by_the_desktops_own_dialog(tmp_path: Path, programs: Path) -> None:
    window = TabWindow(tmp_path)
    assert folder_picker(window) is None
    assert folder_picker(None) is None
    program(programs, "zenity", "echo /home/mira/Pictures")
    pick = folder_picker(window)
    assert pick is not None
    assert pick() == "/home/mira/Pictures"
    program(programs, "zenity", "exit 1")
    assert pick() is None


@pytest.mark.parametrize(
    ("platform", "settings", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_window_is_opened_only_where_there_is_a_screen(
    monkeypatch: pytest.MonkeyPatch, platform: str, settings: dict[str, str], expected: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert has_screen() is expected


def test_the_menu_gets_an_entry_with_its_icon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    entry, icon = add_to_menu(Path('/home/mira/100% "mine"/scripts/desktop'))
    text = entry.read_text("utf-8")
    assert 'Exec="/home/mira/100%% \\"mine\\"/scripts/desktop"\n' in text
    assert "Terminal=false" in text
    assert f"Icon={icon.stem}\n" in text
    assert icon.read_text("utf-8").startswith("<svg")
    if checker := shutil.which("desktop-file-validate"):
        subprocess.run([checker, entry], check=True)


def test_the_model_chosen_is_there_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    assert remembered_model() is None
    remember_model("ham7@2")
    assert remembered_model() == "ham7@2"
    for content in ("", "[]", '{"model": 3}', "\0"):
        (tmp_path / "home" / "desk.json").write_text(content)
        assert remembered_model() is None


def test_the_machine_is_told_in_words() -> None:
    gigabyte = 1 << 30
    plain = MachineState("Xeon", 2, (17 * gigabyte, 23 * gigabyte), "", None, "")
    assert machine_words(plain) == "Answers on the processor, 2 cores · 17 of 23 GB memory free"
    assert machine_notice(plain) == ""
    card = MachineState("Xeon", 1, None, "NVIDIA H200", (100 * gigabyte, 139 * gigabyte), "")
    assert machine_words(card) == (
        "Answers on the graphics card NVIDIA H200 · 100 of 139 GB of its memory free"
    )
    broken = MachineState("Xeon", 1, None, "", None, "Its driver is too old.")
    assert machine_words(broken) == "Answers on the processor, 1 core"
    assert machine_notice(broken) == (
        "The graphics card cannot be used: Its driver is too old. Answers come from the processor, only slower."
    )


class Webview:
    """What stands for pywebview: a window that is shown until it is destroyed, or an exception."""

    class WebViewException(Exception):
        pass

    FileDialog = SimpleNamespace(FOLDER=20)

    def __init__(self, *, works: bool) -> None:
        self.settings: dict[str, bool] = {}
        self.works, self.destroyed = works, threading.Event()
        self.asked: tuple[Any, ...] = ()

    def create_window(self, title: str, address: str, **size: int) -> Webview:
        self.asked = (title, address)
        return self

    def start(self, *, private_mode: bool, gui: str | None) -> None:
        if not self.works:
            raise self.WebViewException("You must have either QT or GTK")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        assert private_mode
        assert self.destroyed.wait(60)

    def destroy(self) -> None:
        self.destroyed.set()

    def create_file_dialog(self, kind: int, directory: str) -> tuple[str, ...] | None:
        return (f"{directory}/Pictures",) if kind == 20 else None


def with_webview(monkeypatch: pytest.MonkeyPatch, webview: Webview) -> None:
    monkeypatch.setitem(sys.modules, "webview", webview)  # type: ignore[arg-type]
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name == "webview" else found(name)
    )
    monkeypatch.setenv("QTWEBENGINE_CHROMIUM_FLAGS", "--own")


def test_the_systems_own_window_is_preferred_asks_nobody_and_is_closed_when_the_app_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    webview = Webview(works=True)
    with_webview(monkeypatch, webview)
    window, stop = choose_window(tmp_path), threading.Event()
    assert isinstance(window, WebviewWindow)
    before = signal.getsignal(signal.SIGINT)
    threading.Timer(0.2, stop.set).start()
    assert window.show("http://127.0.0.1:7860", stop)
    assert webview.asked == ("Dermatrace", "http://127.0.0.1:7860")
    assert signal.getsignal(signal.SIGINT) is before
    flags = os.environ["QTWEBENGINE_CHROMIUM_FLAGS"].split()
    assert flags[0] == "--own"
    assert "--disable-background-networking" in flags
    pick = folder_picker(window)
    assert pick is not None
    assert pick() == f"{Path.home()}/Pictures"


def test_where_it_has_nothing_to_show_the_app_in_a_browser_does(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_webview(monkeypatch, Webview(works=False))
    program(programs, "chromium", f'echo "$@" > {tmp_path}/asked')
    program(programs, "zenity", "echo /home/mira/Pictures")
    window = choose_window(tmp_path / "profile")
    assert window.show("http://127.0.0.1:7860", threading.Event())
    assert "--app=http://127.0.0.1:7860" in (tmp_path / "asked").read_text()
    pick = folder_picker(window)
    assert pick is not None
    assert pick() == "/home/mira/Pictures"
