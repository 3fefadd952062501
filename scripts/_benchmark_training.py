"""Training measured against named peers: the same pictures, network and settings for all, in turns."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from _cli import Progress, progress

import torch
from _benchmark_peak import matrix_peak, step_operations
from _benchmark_peers import train_plainly, train_with_fastai, train_with_timm
from _benchmark_places import PEERS_PLACE, places_of
from _benchmark_results import compare, judge, readable
from _benchmark_sides import Assignment, train_ours
from _benchmark_turns import Competitor, Epoch, Turn, take_turns

from derm_core.data.augmentation import Augmentation
from derm_core.data.table import Dataset, load_dataset
from derm_core.errors import ConfigError
from derm_core.training.config import load_recipe
from derm_core.training.hardware import choose_hardware
from derm_core.training.sections import RunConfig

RECIPE = "ham7-resnet18-scratch"
PEERS: dict[str, Callable[[Assignment, Turn], None]] = {
    "plain": train_plainly,
    "timm": train_with_timm,
    "timm-bfloat16": partial(train_with_timm, reduced=True),
    "fastai": train_with_fastai,
}
OURS = "ours"
_BFLOAT16_PEERS = ("timm-bfloat16",)


@dataclass(frozen=True)
class Options:
    """What is measured; see the help of benchmark.py. 0 `pictures` are all of them; 0 `first_image_size` leaves out the
    run whose pictures grow; `target` None is what the first peer reaches at its end."""

    dataset: Path
    pictures: int
    epochs: int
    image_size: int
    first_image_size: int
    workers: int
    threads: int | None
    target: float | None
    peers: Sequence[str]
    contests: Sequence[str]
    frozen_architecture: str
    pretrained: bool


def measure_training(options: Options) -> dict[str, Any]:
    """Runs the contests, prints what came of each, and returns all figures as plain values."""
    peers = _installed(options.peers)
    configs = {"full": full_config(options), "frozen": frozen_config(options)}
    chosen = {name: configs[name] for name in options.contests}
    dataset = load_dataset(options.dataset)
    hardware = choose_hardware(configs["full"].training)
    peaks = {"float32": matrix_peak(hardware.device, torch.float32)}
    if hardware.autocasts:
        peaks["bfloat16"] = matrix_peak(hardware.device, torch.bfloat16)
    described = ", ".join(f"{value / 1e9:.0f} GFLOP/s in {name}" for name, value in peaks.items())
    print(f"Matrix peak on {hardware.device}: {described}\n")
    report: dict[str, Any] = {"device": str(hardware.device), "matrix_peak": peaks, "contests": []}
    for name, config in chosen.items():
        contest = _contest(name, config, options, peers, dataset, peaks)
        for line in readable(contest):
            print(line, flush=True)
        report["contests"].append(contest)
    return report


def full_config(options: Options) -> RunConfig:
    """The recipe of a ResNet-18 from a random start."""
    return load_recipe(
        RECIPE,
        [
            f"data.image_size={options.image_size}",
            f"training.epochs={options.epochs}",
            f"training.warmup_epochs={min(2, options.epochs // 5)}",
            f"training.workers={options.workers}",
            # The peers write no checkpoint; we write one an epoch, and none within.
            "training.checkpoint_seconds=inf",
        ],
    )


def frozen_config(options: Options) -> RunConfig:
    """The same for a network of which only the head learns, from pictures as they are."""
    config = full_config(options)
    model = replace(
        config.model,
        architecture=options.frozen_architecture,
        pretrained=options.pretrained,
        frozen=-1,
    )
    return replace(config, model=model, training=replace(config.training, augmentation=Augmentation()))


def _installed(peers: Sequence[str]) -> list[str]:
    found = []
    for name in peers:
        library = name.partition("-")[0]
        if library == "plain" or importlib.util.find_spec(library) is not None:
            found.append(name)
        else:
            print(f"{name} is left out: {library} is not installed.")
    if not found:
        raise ConfigError("There is nothing to measure against. Name --peers plain.")
    return found


def _contest(
    name: str,
    config: RunConfig,
    options: Options,
    peers: Sequence[str],
    dataset: Dataset,
    peaks: dict[str, float],
) -> dict[str, Any]:
    configs = {OURS: config}
    if name == "full" and options.first_image_size:
        growing = replace(config.training, first_image_size=options.first_image_size)
        configs[f"{OURS}, growing"] = replace(config, training=growing)
    with places_of(dataset, config, options.pictures, list(configs)) as (places, counts):
        competitors: dict[str, Competitor] = {
            side: partial(train_ours, Assignment(settings, places[side], options.threads))
            for side, settings in configs.items()
        }
        for peer in peers:
            competitors[peer] = partial(PEERS[peer], Assignment(config, places[PEERS_PLACE], options.threads))
        bar: Progress[object] = progress(
            total=len(competitors) * config.training.epochs, description=f"{name} training", unit="epochs"
        )

        def show(side: str, epoch: Epoch) -> None:
            bar.set_postfix_str(f"{side}: {epoch.seconds:.1f} s", False)
            bar.update(1)

        try:
            epochs = take_turns(competitors, show)
        finally:
            bar.close()
    target = options.target
    if target is None:
        target = epochs[peers[0]][-1].figures["balanced_accuracy"]
    reduced = choose_hardware(config.training).autocasts
    results = {}
    for side, own in epochs.items():
        settings = configs.get(side, config)
        in_bfloat16 = reduced if side in configs else side in _BFLOAT16_PEERS
        peak = peaks.get("bfloat16" if in_bfloat16 else "float32")
        load = step_operations(settings) / peak if name == "full" and peak else None
        results[side] = judge(own, target, load)
    return {
        "contest": name,
        "network": config.model.architecture,
        "start": "ImageNet" if config.model.pretrained else "random",
        "image_size": config.data.image_size,
        **counts,
        "epochs": config.training.epochs,
        "batch_size": config.training.batch_size,
        "workers": config.training.workers,
        "target": target,
        "target_of": "given" if options.target is not None else f"the last epoch of {peers[0]}",
        "results": {side: asdict(result) for side, result in results.items()},
        "comparisons": [
            compare(ours, results[ours], peer, results[peer]) for ours in configs for peer in peers
        ],
    }
