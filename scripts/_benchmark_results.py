"""What came of a training contest: the figures of each side, how one does against another, and lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from _benchmark_turns import Epoch


@dataclass(frozen=True)
class Result:
    """How one side did. Seconds are its own, from cold: everything from opening the pictures to the last validation.

    `images_per_second` counts training pictures over all of `seconds`; `steps_images_per_second` over the training
    epochs alone. `share_of_peak` is of the machine's measured matrix peak in the side's number format, while it trains;
    `waiting_share` of the same time is spent until the network has its next batch. `seconds_to_target` None: not
    reached.
    """

    seconds: float
    processor_seconds: float
    images_per_second: float
    steps_images_per_second: float
    share_of_peak: float | None
    waiting_share: float | None
    target_epoch: int | None
    seconds_to_target: float | None
    epoch_seconds: tuple[float, ...]
    balanced_accuracy: tuple[float, ...]


def judge(epochs: Sequence[Epoch], target: float, seconds_at_peak: float | None) -> Result:
    """Sums up the epochs of a side; `seconds_at_peak` is what a training picture would take at the machine's peak."""
    seconds = tuple(epoch.seconds for epoch in epochs)
    found = tuple(epoch.figures["balanced_accuracy"] for epoch in epochs)
    pictures = sum(epoch.figures["pictures"] for epoch in epochs)
    training = sum(epoch.figures["training_seconds"] for epoch in epochs)
    waiting = sum(epoch.figures["waiting_seconds"] for epoch in epochs)
    reached = next((number for number, figure in enumerate(found, 1) if figure >= target), None)
    return Result(
        seconds=sum(seconds),
        processor_seconds=sum(epoch.processor_seconds for epoch in epochs),
        images_per_second=pictures / sum(seconds),
        steps_images_per_second=pictures / training,
        share_of_peak=None if seconds_at_peak is None else seconds_at_peak * pictures / training,
        waiting_share=None if seconds_at_peak is None else waiting / training,
        target_epoch=reached,
        seconds_to_target=None if reached is None else sum(seconds[:reached]),
        epoch_seconds=seconds,
        balanced_accuracy=found,
    )


def compare(what: str, ours: Result, against: str, theirs: Result) -> dict[str, Any]:
    """Returns how many times as fast one side is as another: over the whole run, and until the target is reached.

    `times_the_processor` is how many times as much of the processor's time the other takes: on a busy machine, the
    steadier figure; without meaning on a GPU.
    """
    to_target = None
    if ours.seconds_to_target is not None and theirs.seconds_to_target is not None:
        to_target = theirs.seconds_to_target / ours.seconds_to_target
    return {
        "what": what,
        "against": against,
        "times_as_fast": ours.images_per_second / theirs.images_per_second,
        "times_as_fast_to_target": to_target,
        "times_the_processor": theirs.processor_seconds / ours.processor_seconds,
    }


def readable(contest: dict[str, Any]) -> Iterator[str]:
    """Tells a contest in lines for people."""
    yield (
        f"{'Full training' if contest['contest'] == 'full' else 'Frozen body'}: {contest['network']}, "
        f"{contest['start']} start, {contest['image_size']} px, {contest['training_pictures']} training and "
        f"{contest['validation_pictures']} validation pictures, {contest['epochs']} epochs, "
        f"{contest['workers']} workers"
    )
    yield f"  target: balanced accuracy {contest['target']:.3f} ({contest['target_of']})"
    for side, result in contest["results"].items():
        line = (
            f"  {side}: {result['images_per_second']:.1f} images/s, {result['seconds']:.1f} s in all; balanced "
            f"accuracy {result['balanced_accuracy'][-1]:.3f}; "
        )
        if result["target_epoch"] is None:
            line += "target not reached"
        else:
            line += f"target in epoch {result['target_epoch']}, after {result['seconds_to_target']:.1f} s"
        if result["share_of_peak"] is not None:
            line += (
                f"; steps at {100 * result['share_of_peak']:.0f}% of the matrix peak, "
                f"{100 * result['waiting_share']:.1f}% of their time waiting for data"
            )
        yield line
    for comparison in contest["comparisons"]:
        to_target = comparison["times_as_fast_to_target"]
        told = "no comparison" if to_target is None else f"{to_target:.2f} times as fast"
        yield (
            f"  {comparison['what']} against {comparison['against']}: {comparison['times_as_fast']:.2f} times the "
            f"images/s; to the target {told}; {comparison['against']} takes "
            f"{comparison['times_the_processor']:.2f} times the processor time"
        )
    yield ""
