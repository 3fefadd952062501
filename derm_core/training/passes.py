"""Passes that leave no graph over many batches: on a CPU several at a time, a few threads each. Knows no network.

A pass that all threads share waits, layer by layer, for the slowest of them, and its batch does not fit their caches;
passes side by side took two thirds of the processor's time and a third of that on the clock of a busy machine
(MobileNetV2 at 128 pixels, 2 cores), with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing

import torch
from torch import Tensor

from derm_core.ahead import run_ahead
from derm_core.training.hardware import Hardware

PASS_BATCH = 16
"""Pictures of a pass on a CPU."""
_DEVICE_BATCH = 128
_MOST_AT_ONCE = 8


def pass_batch(device: torch.device) -> int:
    """Returns how many pictures a pass should have: on a CPU, more do not fit its caches."""
    return PASS_BATCH if device.type == "cpu" else _DEVICE_BATCH


def run_passes(
    answer: Callable[[Tensor], Tensor], batches: Iterable[Tensor], hardware: Hardware
) -> Generator[Tensor, None, None]:
    """Gives what `answer` says to each batch, in order, in inference mode; call it from one thread at a time.

    Args:
        answer: may be called by several threads at once.
        batches: taken a few ahead.
        hardware: where the passes run, and whether they autocast.
    """

    def attempt(batch: Tensor) -> Tensor:
        # Modes, and the number of threads that a pass is shared by, are each thread's own.
        if at_once > 1:
            torch.set_num_threads(threads // at_once)
        with (
            torch.inference_mode(),
            torch.autocast(hardware.device.type, hardware.dtype, enabled=hardware.autocasts),
        ):
            return answer(batch)

    threads = torch.get_num_threads()
    at_once = min(threads, _MOST_AT_ONCE) if hardware.device.type == "cpu" else 1
    if at_once == 1:
        yield from map(attempt, batches)
        return
    try:
        with closing(run_ahead(attempt, batches, workers=at_once, ahead=2 * at_once)) as answers:
            yield from answers
    finally:
        # What a thread says of itself is also what later ones begin with.
        torch.set_num_threads(threads)
