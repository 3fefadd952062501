"""The README says what the commands say; `python -m tests.test_docs --write` brings their help in it up to date."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import derm_core

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMANDS = sorted(
    path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.name.startswith("_")
)
SUBCOMMANDS = {"index_cases.py": ("build", "query", "measure"), "prepare_data.py": ("ham10000", "folder")}
SHOWN = [
    " ".join(words)
    for command in COMMANDS
    for words in [(command,), *((command, name) for name in SUBCOMMANDS.get(command, ()))]
]
"""Every command line whose help the README shows, without `scripts/` in front."""
OPTION = r"(?<![\w-])--[a-z][a-z-]*"


@cache
def help_of(command_line: str) -> str:
    """Returns what a command prints on --help, as wide as the README shows it."""
    command, *arguments = command_line.split()
    path = str(ROOT / "scripts" / command)
    start = [sys.executable, path] if command.endswith(".py") else [path]
    if command in ("server", "desktop"):
        # The command itself would first bring the environment up to date.
        start = [sys.executable, str(ROOT / "scripts" / f"_{command}.py")]
    done = subprocess.run(
        [*start, *arguments, "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command_line} --help ended with {done.returncode}: {done.stderr}"
    assert done.stderr == ""
    return done.stdout.strip()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def shown_help() -> dict[str, str]:
    """Returns the help that the README shows, by command line."""
    found = {}
    for block in blocks("console"):
        prompt, _, text = block.partition("\n")
        found[prompt.removeprefix("$ scripts/").removesuffix(" --help")] = text.strip()
    return found


def commands_shown() -> list[str]:
    """Returns every line of the README's shell blocks that runs one of the scripts."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if re.search(r"(^|\s)scripts/", line)]


def words(text: str) -> list[str]:
    """The words alone: where argparse breaks a line differs between versions of Python."""
    return text.split()


def required_options(text: str) -> set[str]:
    """Returns the options that the usage at the head of a command's help shows outside square brackets."""
    usage, bracketed = text.partition("\n\n")[0], 1
    while bracketed:
        usage, bracketed = re.subn(r"\[[^][]*\]", "", usage)
    return set(re.findall(OPTION, usage))


@pytest.mark.parametrize("command_line", SHOWN)
def test_the_readme_shows_the_help_of_every_command(command_line: str) -> None:
    assert words(shown_help().get(command_line, "")) == words(help_of(command_line)), (
        "Run: python -m tests.test_docs --write"
    )


def test_the_readme_shows_no_command_that_is_gone() -> None:
    assert list(shown_help()) == SHOWN


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_called_by_its_name(command: str) -> None:
    path = ROOT / "scripts" / command
    assert os.access(path, os.X_OK)
    wanted = "#!/usr/bin/env python3" if command.endswith(".py") else "#!/usr/bin/env bash"
    assert path.read_text("utf-8").splitlines()[0] == wanted


@pytest.mark.parametrize("line", commands_shown())
def test_every_command_in_the_readme_exists_with_its_options(line: str) -> None:
    called = re.search(r"scripts/(\S+)(.*)", line)
    assert called
    command, arguments = called.groups()
    assert command in COMMANDS
    names = [command, *(name for name in SUBCOMMANDS.get(command, ()) if name in arguments.split())]
    known = help_of(" ".join(names))
    given = set(re.findall(OPTION, arguments))
    assert given <= set(re.findall(OPTION, known))
    assert given >= required_options(known)


def test_every_setting_in_the_code_is_in_the_readme_and_the_other_way_round() -> None:
    files = [
        path
        for folder in ("derm_core", "web", "desktop", "scripts", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", "") and path.is_file()
    ]
    used = {name for path in files for name in re.findall(r"\bDERM_[A-Z_]+\b", path.read_text("utf-8"))}
    section = README.read_text("utf-8").partition("\n## Settings\n")[2].partition("\n### ")[0]
    listed = re.findall(r"^\| `(DERM_[A-Z_]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(used)


def test_links_within_the_repository_lead_somewhere() -> None:
    text = README.read_text("utf-8")
    anchors = {
        "#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    targets = re.findall(r"\]\((?!https?://)([^)]+)\)", text)
    assert [target for target in targets if target not in anchors and not (ROOT / target).exists()] == []


def test_the_python_of_the_readme_runs(
    tiny_pictures: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for picture, name in zip(tiny_pictures, ("photo.jpg", "a.jpg", "b.jpg"), strict=False):
        picture.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("python")
    exec(compile(block, str(README), "exec"), {})
    assert "(90, 120)" in capsys.readouterr().out


def test_the_notice_stands_at_the_head_of_the_readme() -> None:
    assert derm_core.NOTICE in README.read_text("utf-8").partition("\n## ")[0]


def test_the_version_is_the_same_everywhere_and_the_changelog_has_a_place_for_what_is_next() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    assert config["metadata"]["version"] == derm_core.__version__
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def write_help() -> None:
    """Puts the help of every command into the README's section of commands."""
    head, section, rest = re.split(
        r"(?<=^## Commands\n)(.*?)(?=^## )",
        README.read_text("utf-8"),
        maxsplit=1,
        flags=re.MULTILINE | re.DOTALL,
    )
    introduction = section.partition("```console")[0].rstrip()
    texts = [f"```console\n$ scripts/{line} --help\n{help_of(line)}\n```" for line in SHOWN]
    README.write_text(head + "\n\n".join([introduction, *texts]) + "\n\n" + rest, "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.test_docs --write")
    write_help()
