"""Where a predictor runs, by what, and with how many threads: read from arguments and the environment, here alone.

PyTorch is imported only where it will be used.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from derm_core.errors import ConfigError, unknown_name
from derm_core.serving.machine import cores
from derm_core.serving.runtimes import EAGER, RUNTIMES

if TYPE_CHECKING:
    import torch

DEVICE_VARIABLE = "DERM_DEVICE"
RUNTIME_VARIABLE = "DERM_RUNTIME"
THREADS_VARIABLE = "DERM_THREADS"


def choose_device(name: str | None = None) -> torch.device:
    """Returns the device of a name such as "cpu", "cuda" or "cuda:1".

    None means what DERM_DEVICE names and, without it, a GPU where there is one that works. A GPU that was asked for
    and does not work is one warning, and the CPU.

    Raises:
        ConfigError: the name is none of a device.
    """
    import torch

    named = named_device(name)
    if named is None:
        return torch.device("cuda" if _reason_against(torch.device("cuda")) is None else "cpu")
    kind, _, index = named.partition(":")
    device = torch.device(kind, int(index)) if kind == "cuda" and index else torch.device(kind)
    reason = _reason_against(device)
    if reason is None:
        return device
    warnings.warn(f"{named} was asked for but cannot be used ({reason}); answering on the CPU.", stacklevel=2)
    return torch.device("cpu")


def named_device(name: str | None = None) -> str | None:
    """Returns the name itself, or what DERM_DEVICE says; None where neither does.

    Raises:
        ConfigError: the name is none of a device.
    """
    named = name or os.environ.get(DEVICE_VARIABLE) or None
    if named is not None:
        kind, _, index = named.partition(":")
        if kind not in ("cpu", "cuda") or (index and not index.isdecimal()) or named.endswith(":"):
            raise ConfigError(f"Unknown device {named!r}. Wanted: cpu, cuda, or cuda: and a number.")
    return named


def named_runtime(name: str | None = None) -> str:
    """Returns the name itself, or what DERM_RUNTIME says, or "eager"; raises ConfigError for one that is not known."""
    named = name or os.environ.get(RUNTIME_VARIABLE) or EAGER
    if named not in RUNTIMES:
        raise ConfigError(unknown_name("runtime", named, RUNTIMES))
    return named


def set_threads(threads: int | None = None) -> None:
    """Lets each pass of PyTorch use this many cores; None means what DERM_THREADS says, or PyTorch's own choice.

    Raises:
        ConfigError: not a whole number of 1 or more.
    """
    wanted = named_threads(threads)
    if wanted is not None:
        import torch

        torch.set_num_threads(wanted)


def named_threads(threads: int | None = None) -> int | None:
    """Returns the number itself, or what DERM_THREADS says; None where neither does.

    Raises:
        ConfigError: not a whole number of 1 or more.
    """
    if threads is None:
        named = os.environ.get(THREADS_VARIABLE)
        if not named:
            return None
        if not named.isdecimal():
            raise ConfigError(f"{THREADS_VARIABLE} is {named!r}; it must be a whole number of 1 or more.")
        threads = int(named)
    if threads < 1:
        raise ConfigError(f"threads is {threads}; it must be 1 or more.")
    return threads


def passes_at_once(threads: int | None = None) -> int:
    """Returns how many passes of a network the machine has cores for, side by side.

    Args:
        threads: cores for one pass; None for as many as PyTorch takes.
    """
    if threads is None:
        import torch

        threads = torch.get_num_threads()
    return max(1, (os.cpu_count() or 1) // threads)


def compiled_threads(threads: int | None = None) -> int:
    """Returns the cores for one pass of a runtime other than PyTorch: as said, or all that this process may use."""
    return named_threads(threads) or cores()


def _reason_against(device: torch.device) -> str | None:
    """Why a device cannot be used; None where it can."""
    import torch

    if device.type == "cpu":
        return None
    if not torch.cuda.is_available():
        return "no GPU that PyTorch can use was found"
    try:
        torch.zeros(1, device=device)
    except RuntimeError as err:
        return str(err).splitlines()[0]
    return None
