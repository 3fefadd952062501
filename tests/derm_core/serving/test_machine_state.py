"""What a screen tells of the machine: the processor, free memory, and a graphics card that cannot be used."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from derm_core.serving import machine_state as module
from derm_core.serving.machine_state import machine_state

ON_CPU = SimpleNamespace(device=torch.device("cpu"))


def test_memory_is_read_where_the_system_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEMORY_FILE", tmp_path / "meminfo")
    assert machine_state(ON_CPU).memory is None  # type: ignore[arg-type]
    (tmp_path / "meminfo").write_text(
        "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:  1024 kB\nHugePages:\n"
    )
    state = machine_state(ON_CPU)  # type: ignore[arg-type]
    assert state.memory == (1 << 20, 2 << 20)
    assert (state.gpu, state.gpu_memory) == ("", None)
    assert state.cores >= 1


def test_a_card_that_cannot_be_used_is_told_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "may_have_gpu", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert machine_state(ON_CPU).gpu_problem == ""  # type: ignore[arg-type]
    monkeypatch.setenv("DERM_DEVICE", "cuda")
    assert "its driver may be missing" in machine_state(ON_CPU).gpu_problem  # type: ignore[arg-type]
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "for processors alone" in machine_state(ON_CPU).gpu_problem  # type: ignore[arg-type]
    monkeypatch.setenv("DERM_DEVICE", "cpu")
    monkeypatch.setattr(module, "may_have_gpu", lambda: True)
    assert machine_state(ON_CPU).gpu_problem == ""  # type: ignore[arg-type]
