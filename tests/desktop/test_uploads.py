"""The folder through which pictures come in: private, empty before, gone after."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from desktop.uploads import VARIABLE, home, upload_folder


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_nobody_else_can_look_inside() -> None:
    with upload_folder(7860) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(home().stat().st_mode) == 0o700


def test_gradio_is_told_of_it_for_as_long_as_it_is_there() -> None:
    with upload_folder(7860) as folder:
        assert os.environ[VARIABLE] == str(folder)
    assert VARIABLE not in os.environ
    assert not folder.exists()


def test_it_is_removed_with_its_pictures_whatever_happens() -> None:
    def fail_with_a_picture_in_it() -> None:
        with upload_folder(7860) as folder:
            (folder / "3f2a").mkdir()
            (folder / "3f2a" / "mole.jpg").write_bytes(b"pixels")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_with_a_picture_in_it()
    assert list((home() / "desktop").iterdir()) == []


def test_what_a_killed_app_left_behind_is_gone_at_the_next_start() -> None:
    left = home() / "desktop" / "7860" / "3f2a"
    left.mkdir(parents=True)
    (left / "mole.jpg").write_bytes(b"pixels")
    with upload_folder(7860) as folder:
        assert list(folder.iterdir()) == []


def test_apps_on_two_ports_do_not_share_one() -> None:
    with upload_folder(7860) as one, upload_folder(7861) as other:
        (one / "mole.jpg").write_bytes(b"pixels")
        assert list(other.iterdir()) == []


def test_a_link_in_its_place_is_removed_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("keep me")
    (home() / "desktop").mkdir(parents=True)
    (home() / "desktop" / "7860").symlink_to(precious)
    with upload_folder(7860) as folder:
        assert not folder.is_symlink()
    assert (precious / "thesis.txt").read_text() == "keep me"
