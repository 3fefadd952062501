"""Before Gradio is imported everything is off that sends, looks up or opens something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from desktop.offline import SILENT, go_offline

ROOT = Path(__file__).parents[2]


def test_what_could_open_the_app_is_dropped_and_the_rest_left_alone() -> None:
    environment = {"GRADIO_SHARE": "True", "GRADIO_ALLOWED_PATHS": "/", "HOME": "/home/mira"}
    go_offline(environment)
    assert {name: environment[name] for name in SILENT} == SILENT
    assert [name for name in environment if name.startswith("GRADIO_")] == ["GRADIO_ANALYTICS_ENABLED"]
    assert environment["HOME"] == "/home/mira"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "127.0.0.1,localhost"),
        ("intranet,localhost", "intranet,localhost,127.0.0.1"),
        ("127.0.0.1,localhost", "127.0.0.1,localhost"),
    ],
)
def test_a_proxy_is_not_asked_for_this_machine(before: str, after: str) -> None:
    environment = {"NO_PROXY": before} if before else {}
    go_offline(environment)
    assert environment["NO_PROXY"] == after


def test_it_happens_before_gradio_is_there_and_brings_no_pytorch() -> None:
    code = (
        "import sys, os; import desktop.offline; "
        "print('torch' in sys.modules, os.environ['GRADIO_ANALYTICS_ENABLED'], 'GRADIO_SHARE' in os.environ)"
    )
    environment = os.environ | {"GRADIO_SHARE": "True", "GRADIO_ANALYTICS_ENABLED": "True"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "False"]
