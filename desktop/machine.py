"""What the app tells of this machine: what answers, and how much memory is free. Measures nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import MachineState

_GIGABYTE = 1 << 30
_RUNTIMES = {"eager": "PyTorch", "compile": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
"""What the libraries call themselves, by the first word of a runtime's name."""


def machine_words(state: MachineState) -> str:
    """Returns one line: what answers, and how much memory is free."""
    cores = say("machine-core") if state.cores == 1 else say("machine-cores", count=state.cores)
    words = [say("machine-gpu", name=state.gpu) if state.gpu else say("machine-cpu", cores=cores)]
    if state.gpu_memory is not None:
        words.append(_memory("machine-gpu-memory", state.gpu_memory))
    if state.memory is not None:
        words.append(_memory("machine-memory", state.memory))
    return " · ".join(words)


def machine_notice(state: MachineState) -> str:
    """Returns what to know before anything is answered; empty where there is nothing."""
    return say("machine-no-gpu", reason=state.gpu_problem) if state.gpu_problem else ""


def runtime_words(name: str, reason: str) -> str:
    """Returns what runs a network and why it does, in one short line."""
    library, _, form = name.partition("-")
    called = f"{_RUNTIMES.get(library, library)} {form.replace('-', ' ')}".strip()
    # What was measured for it, in brackets, and what was left out, after it, are for those who ask.
    return say("runtime", name=called, reason=reason.partition(" (")[0].partition(";")[0])


def _memory(name: str, sizes: tuple[int, int]) -> str:
    free, total = sizes
    return say(name, free=f"{free / _GIGABYTE:.0f}", total=f"{total / _GIGABYTE:.0f}")
