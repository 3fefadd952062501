"""What the training benchmark found, for people: a page of ratios. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NAMES = {
    "plain": "plain loop, float32",
    "timm": "timm's loop, float32",
    "timm-bfloat16": "timm's loop, bfloat16",
    "fastai": "fastai",
    "ours": "Dermatrace",
    "ours, growing": "Dermatrace, pictures that grow",
}
_TITLES = {"full": "Full training", "frozen": "Frozen body"}


def training_page(report: Mapping[str, Any], *, command: str) -> str:
    """Returns Markdown: where it was measured, and a table of each contest, by its first peer.

    Args:
        report: what `measure_training` gave, and the machine.
        command: that makes it again.
    """
    machine = report["machine"]
    lines = [
        "# Training benchmark",
        "",
        f"Made by `{command}`, in one run on {machine['processor']}, {machine['cores']} cores, PyTorch "
        f"{machine['torch']}. Every figure but balanced accuracy is a ratio of that run; other machines give others.",
        "",
        "The loops take turns, epoch by epoch, on copies of the same pictures that nothing is cached of. The plain "
        "loop is that of torchvision's references: every JPEG is decoded in every epoch, and the network runs in "
        "float32. Pictures a second count from opening the pictures to the last validation. Balanced accuracy is that "
        "of the last epoch on the validation pictures, and says that both learn, not which learns better: it is one "
        "run.",
    ]
    for contest in report["contests"]:
        lines += ["", f"## {_TITLES[contest['contest']]}", "", *_contest(contest, report["matrix_peak"])]
    return "\n".join(lines) + "\n"


def _contest(contest: Mapping[str, Any], peaks: Mapping[str, float]) -> Iterator[str]:
    results = contest["results"]
    first = contest["comparisons"][0]["against"]
    yield (
        f"{contest['network']} from {'ImageNet weights' if contest['start'] == 'ImageNet' else 'a random start'} at "
        f"{contest['image_size']} pixels, {contest['training_pictures']:,} training and "
        f"{contest['validation_pictures']:,} validation pictures, {contest['epochs']} epochs. The target is a balanced "
        f"accuracy of {contest['target']:.3f} ({contest['target_of']})."
    )
    yield ""
    yield (
        f"| loop | pictures a second, by the {_NAMES[first]} | as soon at the target | processor time | share of the "
        "matrix peak | waiting for data | balanced accuracy |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|"
    theirs = results[first]
    for side, result in results.items():
        reached = "not reached"
        if result["seconds_to_target"] is not None and theirs["seconds_to_target"] is not None:
            reached = f"{theirs['seconds_to_target'] / result['seconds_to_target']:.2f}"
        cells = (
            _NAMES[side],
            f"{result['images_per_second'] / theirs['images_per_second']:.2f}",
            reached,
            f"{result['processor_seconds'] / theirs['processor_seconds']:.2f}",
            _percent(result["share_of_peak"]),
            _percent(result["waiting_share"]),
            f"{result['balanced_accuracy'][-1]:.3f}",
        )
        yield f"| {' | '.join(cells)} |"
    if "bfloat16" in peaks and theirs["share_of_peak"]:
        times = peaks["bfloat16"] / peaks["float32"]
        share = theirs["share_of_peak"]
        yield ""
        yield (
            f"The matrix peak in bfloat16 is {times:.2f} times that in float32 here, of which the {_NAMES[first]} "
            f"reaches {_percent(share)} in its steps. So at the same size of pictures no loop could take its steps "
            f"more than {times / share:.1f} times as fast on this processor."
        )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}%"
