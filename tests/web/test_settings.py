"""Settings: the environment, what is handed in, the kept secret."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from derm_core import ConfigError
from tests.web.fakes import FakePredictor
from web import create_app
from web.settings import database_url, kept_secret


def test_the_secret_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    secret = kept_secret(path)
    assert len(secret) == 64
    assert kept_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret-key"]


def test_servers_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: kept_secret(tmp_path / "secret-key"), range(32)))
    assert len(secrets) == 1


def test_a_secret_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    kept_secret(path)
    path.chmod(0o644)
    kept_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("")
    with pytest.raises(ConfigError, match="holds no usable key"):
        kept_secret(tmp_path / "secret-key")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "sqlite:////home/derm/dermatrace.sqlite3"),
        ("sqlite:////tmp/x.sqlite3", "sqlite:////tmp/x.sqlite3"),
        ("postgres://u:p%40ss@host:5433/derm", "postgresql+psycopg://u:p%40ss@host:5433/derm"),
        ("postgresql://u@host/derm", "postgresql+psycopg://u@host/derm"),
        ("postgresql+psycopg://u@host/derm", "postgresql+psycopg://u@host/derm"),
    ],
)
def test_a_database_can_be_named_as_usual(given: str | None, expected: str) -> None:
    assert database_url(given, Path("/home/derm")) == expected


@pytest.mark.parametrize("given", ["mysql://u@host/derm", "not an address"])
def test_a_database_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="DERM_DATABASE_URL"):
        database_url(given, Path("/home/derm"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DERM_HTTPS", "perhaps"),
        ("DERM_PROXIES", "-1"),
        ("DERM_PROXIES", "one"),
        ("DERM_SECRET_KEY", "short"),
        ("DERM_SECOND_FACTOR", "perhaps"),
        ("DERM_BREACHED_PASSWORDS", "/no/such/file"),
        ("DERM_SCAN_COMMAND", "no-such-scanner --quiet"),
        ("DERM_SCAN_COMMAND", "an 'open quote"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        create_app(predictor=FakePredictor())


def test_what_is_handed_in_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "from environment"))
    monkeypatch.setenv("DERM_SECRET_KEY", "from the environment")
    app = create_app({"DERM_HOME": tmp_path / "handed in"}, FakePredictor())
    assert app.config["DERM_HOME"] == tmp_path / "handed in"
    assert app.config["SECRET_KEY"] == "from the environment"
    assert not (tmp_path / "from environment").exists()
    assert stat.S_IMODE((tmp_path / "handed in").stat().st_mode) == 0o700


def test_importing_the_website_loads_neither_pytorch_nor_pandas() -> None:
    code = "import sys, web; print({'torch', 'pandas', 'captum'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
