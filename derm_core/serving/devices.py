"""Where a predictor runs, and with how many threads: read from arguments and the environment in this one place."""

from __future__ import annotations

import os
import warnings

import torch

from derm_core.errors import ConfigError

DEVICE_VARIABLE = "DERM_DEVICE"
THREADS_VARIABLE = "DERM_THREADS"


def choose_device(name: str | None = None) -> torch.device:
    """Returns the device of a name such as "cpu", "cuda" or "cuda:1".

    None means what DERM_DEVICE names and, without it, a GPU where there is one that works. A GPU that was asked for
    and does not work is one warning, and the CPU.

    Raises:
        ConfigError: the name is none of a device.
    """
    named = name or os.environ.get(DEVICE_VARIABLE) or None
    if named is None:
        return torch.device("cuda" if _reason_against(torch.device("cuda")) is None else "cpu")
    kind, _, index = named.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()) or named.endswith(":"):
        raise ConfigError(f"Unknown device {named!r}. Wanted: cpu, cuda, or cuda: and a number.")
    device = torch.device(kind, int(index)) if kind == "cuda" and index else torch.device(kind)
    reason = _reason_against(device)
    if reason is None:
        return device
    warnings.warn(f"{named} was asked for but cannot be used ({reason}); answering on the CPU.", stacklevel=2)
    return torch.device("cpu")


def set_threads(threads: int | None = None) -> None:
    """Lets each pass of a network use this many cores; None means what DERM_THREADS says, or PyTorch's own choice.

    Raises:
        ConfigError: not a whole number of 1 or more.
    """
    if threads is None:
        named = os.environ.get(THREADS_VARIABLE)
        if not named:
            return
        if not named.isdecimal():
            raise ConfigError(f"{THREADS_VARIABLE} is {named!r}; it must be a whole number of 1 or more.")
        threads = int(named)
    if threads < 1:
        raise ConfigError(f"threads is {threads}; it must be 1 or more.")
    torch.set_num_threads(threads)


def passes_at_once() -> int:
    """Returns how many passes of a network the machine has cores for, side by side."""
    return max(1, (os.cpu_count() or 1) // torch.get_num_threads())


def _reason_against(device: torch.device) -> str | None:
    """Why a device cannot be used; None where it can."""
    if device.type == "cpu":
        return None
    if not torch.cuda.is_available():
        return "no GPU that PyTorch can use was found"
    try:
        torch.zeros(1, device=device)
    except RuntimeError as err:
        return str(err).splitlines()[0]
    return None
