#!/usr/bin/env python3
"""Measures what an answer with its heatmap costs, as ratios against named peers, in one run on this machine; with
--training, what training costs."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from _benchmark_answers import DEFAULT_ARCHITECTURES, measure_answers, open_bundles

from _cli import CommandParser, run_command
from derm_core.errors import ConfigError

CONTESTS = ("full", "frozen")
PEERS = ("plain", "timm", "fastai")
MORE_PEERS = ("timm-bfloat16",)


def main() -> None:
    arguments = parse_arguments()
    if arguments.json and not Path(arguments.json).absolute().parent.is_dir():
        raise ConfigError(f"--json {arguments.json} cannot be written: name a file in a folder that exists.")
    # A thread that waits for the other by spinning keeps the core from the processes that load pictures.
    if arguments.training:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Only now, so that --help does not wait for PyTorch.
    from derm_core.files import replace_file
    from derm_core.serving.devices import set_threads

    set_threads(arguments.threads)
    bundles = [] if arguments.training else open_bundles(arguments.model, arguments.architecture)
    report: dict[str, Any] = {"machine": describe_machine()}
    print(" · ".join(f"{key} {value}" for key, value in report["machine"].items()))
    if arguments.training:
        report |= training_report(arguments)
    else:
        report |= measure_answers(bundles, arguments.image, arguments.rounds)
    if arguments.json:
        replace_file(Path(arguments.json), (json.dumps(report, indent=2) + "\n").encode())


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write every figure to a file")
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        default="bundled",
        help="a model to measure; '' for none (default: bundled)",
    )
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        nargs="*",
        default=DEFAULT_ARCHITECTURES,
        help=f"networks with random weights, at 224 pixels (default: {' '.join(DEFAULT_ARCHITECTURES)})",
    )
    parser.add_argument(
        "--image", metavar="FILE", type=Path, help="a picture (default: one drawn, 600 x 450)"
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=40, help="default: 40")
    parser.add_argument("--threads", metavar="N", type=int, help="cores for one pass (default: DERM_THREADS)")
    add_training_options(parser)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"argument --rounds: {arguments.rounds} is not a number above 0")
    if arguments.pictures < 0:
        parser.error(f"argument --pictures: {arguments.pictures} is below 0")
    if arguments.first_image_size is None:
        arguments.first_image_size = arguments.image_size // 4
    return arguments


def add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "training",
        "The loops take turns, epoch by epoch, on copies of the pictures that nothing is cached of.",
    )
    group.add_argument(
        "--training", metavar="DATASET", type=Path, help="measure training on a dataset folder, not answers"
    )
    group.add_argument(
        "--contests",
        metavar="NAME",
        nargs="+",
        choices=CONTESTS,
        default=CONTESTS,
        help="full: ResNet-18 from a random start; frozen: only the head learns (default: both)",
    )
    group.add_argument(
        "--peers",
        metavar="NAME",
        nargs="+",
        choices=(*PEERS, *MORE_PEERS),
        default=PEERS,
        help=f"the loops to measure against, where they are installed: {', '.join((*PEERS, *MORE_PEERS))} "
        f"(default: {' '.join(PEERS)})",
    )
    group.add_argument(
        "--pictures",
        metavar="N",
        type=int,
        default=0,
        help="training pictures, with validation pictures in proportion (default: 0, all)",
    )
    group.add_argument("--epochs", metavar="N", type=int, default=10, help="default: 10")
    group.add_argument("--image-size", metavar="N", type=int, default=128, help="pixels (default: 128)")
    group.add_argument(
        "--first-image-size",
        metavar="N",
        type=int,
        help="train fully a second time, with pictures that grow from this size; 0: do not (default: a quarter of it)",
    )
    group.add_argument(
        "--target",
        metavar="X",
        type=float,
        help="balanced accuracy to reach (default: that of the first peer after its last epoch)",
    )
    cores = os.cpu_count() or 1
    group.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=cores,
        help="processes that load pictures, in every loop (default: one a core)",
    )
    group.add_argument("--frozen-architecture", metavar="NAME", default="resnet18", help="default: resnet18")
    group.add_argument(
        "--pretrained",
        action="store_true",
        help="start the frozen network from ImageNet's weights, not at random",
    )


def training_report(arguments: argparse.Namespace) -> dict[str, Any]:
    from _benchmark_training import Options, measure_training

    return measure_training(
        Options(
            dataset=arguments.training,
            pictures=arguments.pictures,
            epochs=arguments.epochs,
            image_size=arguments.image_size,
            first_image_size=arguments.first_image_size,
            workers=arguments.workers,
            threads=arguments.threads,
            target=arguments.target,
            peers=arguments.peers,
            contests=arguments.contests,
            frozen_architecture=arguments.frozen_architecture,
            pretrained=arguments.pretrained,
        )
    )


def describe_machine() -> dict[str, str]:
    import captum
    import torch

    return {
        "processor": processor_name(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "captum": captum.__version__,
    }


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    run_command(main)
