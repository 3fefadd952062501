"""What a predictor answers on, and how much memory is free: for people who look at a screen. Chooses nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.serving.machine import cores, may_have_gpu, processor

if TYPE_CHECKING:
    from derm_core.serving.predictor import Predictor

_MEMORY_FILE = Path("/proc/meminfo")


@dataclass(frozen=True)
class MachineState:
    """What a predictor answers on.

    Attributes:
        processor: its name; empty where the system does not tell.
        cores: that this process may use.
        memory: (free, total) bytes of the machine; None where the system does not tell.
        gpu: the name of the graphics card that answers; empty where the processor does.
        gpu_memory: (free, total) bytes of it; None without one.
        gpu_problem: why a graphics card that is there does not answer, in a sentence; empty where there is nothing to
            say.
    """

    processor: str
    cores: int
    memory: tuple[int, int] | None
    gpu: str
    gpu_memory: tuple[int, int] | None
    gpu_problem: str


def machine_state(predictor: Predictor) -> MachineState:
    """Returns what a predictor answers on, as it is now."""
    device = predictor.device
    if device.type == "cuda":
        import torch

        memory = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        return MachineState(processor(), cores(), _memory(), name, (memory[0], memory[1]), "")
    return MachineState(processor(), cores(), _memory(), "", None, _gpu_problem())


def _memory() -> tuple[int, int] | None:
    with suppress(OSError, ValueError, KeyError):
        lines = (line.partition(":") for line in _MEMORY_FILE.read_text("utf-8").splitlines())
        sizes = {name: int(size.split()[0]) << 10 for name, _, size in lines if size.split()}
        return sizes["MemAvailable"], sizes["MemTotal"]
    return None


def _gpu_problem() -> str:
    asked = os.environ.get("DERM_DEVICE", "").startswith("cuda")
    # Elsewhere than on Linux nothing tells without a GPU's own driver whether there is one.
    seen = _MEMORY_FILE.exists() and may_have_gpu()
    if os.environ.get("DERM_DEVICE") == "cpu" or not (asked or seen):
        return ""
    import torch

    if torch.version.cuda is None:
        return "The PyTorch that is installed is made for processors alone."
    if not torch.cuda.is_available():
        return "PyTorch finds no card that it can use; its driver may be missing or too old."
    return ""
