"""The container image and the composition, as far as they can be read without Docker, and secrets as files."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from derm_core import ConfigError
from web import create_app
from web.secret_files import secrets_from_files
from web.settings import DEFAULTS, database_url

ROOT = Path(__file__).parent.parent
SECRET = "a-secret-of-some-length"


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with its arguments, lines that go on joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def arguments_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def copied() -> list[str]:
    """What the image takes from this folder."""
    return [
        source
        for arguments in arguments_of("COPY")
        if not arguments.startswith("--from=")
        for source in shlex.split(arguments)[:-1]
    ]


def composition() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def services() -> Mapping[str, dict[str, Any]]:
    return composition()["services"]


def test_every_image_is_of_one_version() -> None:
    images = [arguments.split()[0] for arguments in arguments_of("FROM")] + [services()["database"]["image"]]
    for image in images:
        assert re.fullmatch(r"(python|postgres):\d+\.\d+(\.\d+)?-[\w-]+", image), image
    assert services()["database"]["image"].startswith("postgres:18.")


def test_the_image_runs_as_nobody_who_may_do_anything() -> None:
    names = [name for name, _ in instructions()]
    assert arguments_of("USER") == ["10001:10001"]
    assert names.index("USER") < names.index("CMD")
    last_run = max(place for place, name in enumerate(names) if name == "RUN")
    assert last_run < names.index("USER")


def test_every_extra_that_the_image_installs_is_one_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    named = re.findall(r"--extra (\w+)", " ".join(arguments_of("RUN")))
    assert {"web", "openvino"} <= set(named) <= set(setup["options.extras_require"])


def test_no_service_runs_as_root() -> None:
    for name, service in services().items():
        user = service.get("user") or (arguments_of("USER")[-1] if "build" in service else "0")
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), name


def test_what_the_website_writes_lies_on_its_volume_or_in_memory() -> None:
    service = services()["web"]
    places = {volume.partition(":")[2] for volume in service["volumes"]}
    scratch = {mount.partition(":")[0] for mount in service["tmpfs"]}
    (home,) = re.findall(r"DERM_HOME=(\S+)", " ".join(arguments_of("ENV")))
    (plots,) = re.findall(r"MPLCONFIGDIR=(\S+)", " ".join(arguments_of("ENV")))
    assert home in places
    assert home in arguments_of("VOLUME")
    assert str(Path(plots).parent) in scratch
    assert "PYTHONDONTWRITEBYTECODE=1" in " ".join(arguments_of("ENV"))


def test_everything_that_is_copied_is_there_and_let_in() -> None:
    let_in = [
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    ]
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source in let_in, source
    assert {name for name in let_in if name != "scripts"} == set(copied())


def test_nothing_of_users_gets_into_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    first = next(line for line in lines if not line.startswith("#"))
    assert first == "*"
    for folder in ("instance", "secrets", "data", "runs", "models", "tests", ".git", ".venv", "."):
        assert folder not in copied()


def test_what_the_image_starts_is_in_it() -> None:
    (command,) = arguments_of("CMD")
    assert ast.literal_eval(command) == ["python", "scripts/_server.py"]
    assert "scripts/_server.py" in copied()
    modules = {path.stem for path in (ROOT / "scripts").glob("_*.py")}
    for script in [source for source in copied() if source.endswith(".py")]:
        tree = ast.parse((ROOT / script).read_text("utf-8"))
        wanted = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} & modules
        assert {f"scripts/{module}.py" for module in wanted} <= set(copied()), script


def test_the_health_check_asks_for_an_address_that_there_is(tmp_path: Path) -> None:
    addresses = {rule.rule for rule in create_app({"DERM_HOME": tmp_path}).url_map.iter_rules()}
    (check,) = arguments_of("HEALTHCHECK")
    for test in (check, " ".join(services()["web"]["healthcheck"]["test"])):
        (address,) = re.findall(r"http://127\.0\.0\.1:5000(/\w+)", test)
        assert address in addresses


@pytest.mark.parametrize("name", ["web", "database"])
def test_a_service_may_write_nothing_but_its_volumes(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"]
    assert set(service["healthcheck"]) >= {"test", "interval", "timeout", "retries"}
    assert "privileged" not in service
    assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(composition()["volumes"])


def test_the_database_is_reached_from_inside_alone() -> None:
    assert "ports" not in services()["database"]
    assert services()["database"]["networks"] == ["inside"]
    assert composition()["networks"]["inside"]["internal"] is True
    assert all(port.startswith("127.0.0.1:") for port in services()["web"]["ports"])


def test_no_secret_stands_in_the_files() -> None:
    for name, service in services().items():
        for variable, value in service["environment"].items():
            if re.search(r"PASSWORD|SECRET|TOKEN", variable):
                assert variable.endswith("_FILE"), variable
                assert value.removeprefix("/run/secrets/") in service["secrets"], (name, variable)
        assert set(service["secrets"]) <= set(composition()["secrets"])
    assert all(set(secret) == {"file"} for secret in composition()["secrets"].values())
    assert (
        ":" not in services()["web"]["environment"]["DERM_DATABASE_URL"].partition("//")[2].partition("@")[0]
    )
    assert not any("PASSWORD" in arguments for arguments in arguments_of("ENV") + arguments_of("ARG"))


def test_the_website_knows_every_setting_that_it_is_given() -> None:
    given = set(services()["web"]["environment"]) | set(
        re.findall(r"DERM_\w+(?==)", " ".join(arguments_of("ENV")))
    )
    known = set(DEFAULTS) | {f"{name}_FILE" for name in DEFAULTS} | {"DERM_BIND"}
    assert given <= known


def test_a_password_in_a_file_goes_into_the_address(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}/@\n")
    found = secrets_from_files({"DERM_DATABASE_PASSWORD_FILE": str(tmp_path / "password")})
    address = services()["web"]["environment"]["DERM_DATABASE_URL"]
    url = database_url(address, tmp_path, found["DERM_DATABASE_PASSWORD"])
    assert url == f"postgresql+psycopg://dermatrace:{SECRET}%2F%40@database/dermatrace"


@pytest.mark.parametrize(
    ("content", "also", "sentence"),
    [(None, "", "cannot be read"), ("\n", "", "is empty"), (SECRET, "another secret", "both set")],
)
def test_a_secret_that_cannot_be_read_is_told_in_one_sentence(
    tmp_path: Path, content: str | None, also: str, sentence: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        secrets_from_files({"DERM_SECRET_KEY_FILE": str(path), "DERM_SECRET_KEY": also})
