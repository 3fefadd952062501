"""Which device, number format and memory layout a run uses: chosen by the machine where the recipe says `auto`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from derm_core.training.config import TrainingConfig


@dataclass(frozen=True)
class Hardware:
    """`dtype` of autocast (float32: no autocast); `channels_last` for convolutions on CPUs and tensor cores."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool = True

    @property
    def autocasts(self) -> bool:
        """Whether the forward pass runs under autocast."""
        return self.dtype != torch.float32

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """Moves a batch (N, 3, H, W) to the device, in the memory layout that its convolutions want."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return tensor.to(self.device, memory_format=layout, non_blocking=True)


def choose_hardware(config: TrainingConfig) -> Hardware:
    """Returns what `device` and `precision` ask for; with `cuda` asked for but not usable, warns and takes the CPU."""
    wanted = config.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    elif wanted == "cuda" and not torch.cuda.is_available():
        warnings.warn(
            "training.device is 'cuda', but no usable GPU was found: training on the CPU.", stacklevel=2
        )
        wanted = "cpu"
    device = torch.device(wanted)
    if config.threads:
        torch.set_num_threads(config.threads)
    bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and _has_bfloat16(device))
    return Hardware(device, torch.bfloat16 if bfloat16 else torch.float32)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
