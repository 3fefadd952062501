#!/usr/bin/env python3
"""Measures what an answer with its heatmap costs in each runtime, as ratios against PyTorch alone, Captum and
pytorch-grad-cam, in one run on this machine; with --training, what training costs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from _cli import run_command

from _benchmark_networks import open_networks
from _benchmark_options import EFFORT, ROUND_SECONDS, RUNTIMES, check_targets, parse_arguments

from derm_core.serving.machine import cores, processor


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    check_targets(arguments)
    # A thread that waits for the other by spinning keeps the core from the processes that load pictures.
    if arguments.training:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Only now, so that --help does not wait for PyTorch.
    from derm_core.files import replace_file
    from derm_core.serving.devices import set_threads

    set_threads(arguments.threads)
    report: dict[str, Any] = {"machine": describe_machine()}
    print(" · ".join(f"{key} {value}" for key, value in report["machine"].items()))
    report |= training_report(arguments) if arguments.training else answers_report(arguments)
    if arguments.json:
        replace_file(Path(arguments.json), (json.dumps(report, indent=2) + "\n").encode())
    if arguments.training:
        from _benchmark_training_page import training_page

        text = training_page(report, command=training_command_of(arguments))
    else:
        from _benchmark_page import save_plot, tables

        text = tables(report, plot=arguments.plot and arguments.plot.name, command=command_of(arguments))
        print(f"\n{text}", end="")
        if arguments.plot:
            save_plot(report, arguments.plot)
    if arguments.markdown:
        replace_file(arguments.markdown, text.encode())


def answers_report(arguments: argparse.Namespace) -> dict[str, Any]:
    from _benchmark_answers import Effort, measure_answers
    from _benchmark_folder import check_plain_loop, measure_folder
    from _benchmark_runtimes import installed

    from derm_core.serving.devices import compiled_threads

    effort = Effort(
        arguments.rounds,
        compiled_threads(arguments.threads),
        arguments.seconds,
        arguments.starts,
        ROUND_SECONDS,
    )
    runtimes = installed(arguments.runtimes)
    with ExitStack() as stack:
        work = arguments.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        networks = open_networks(arguments.model, arguments.architecture, work)
        if arguments.folder:
            check_plain_loop(networks[0])
        report = measure_answers(networks, runtimes, arguments.image, effort)
        if arguments.folder:
            left_out = report["networks"][0]["left_out"]
            report["folder"] = measure_folder(
                networks[:1],
                [runtime for runtime in runtimes if runtime not in left_out],
                arguments.folder,
                pictures=arguments.pictures,
                plain_pictures=arguments.plain_pictures,
                sizes=arguments.sizes,
            )
    report["not_installed"] = sorted(set(arguments.runtimes) - set(runtimes))
    return report


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

    found = {
        "processor": processor(),
        "cores": str(cores()),
        "threads": str(torch.get_num_threads()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "captum": captum.__version__,
    }
    for package in ("grad-cam", "onnxruntime", "openvino"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def command_of(arguments: argparse.Namespace) -> str:
    """Returns the command that makes these figures again, folders by their last name alone."""
    words = ["scripts/benchmark.py", "--model", Path(arguments.model).name or "''"]
    words += ["--architecture", *arguments.architecture]
    if tuple(arguments.runtimes) != RUNTIMES:
        words += ["--runtimes", *arguments.runtimes]
    for option, usual in EFFORT.items():
        if (chosen := getattr(arguments, option)) != usual:
            words += [f"--{option}", f"{chosen:g}"]
    if arguments.folder:
        words += ["--folder", arguments.folder.resolve().name]
        words += ["--pictures", str(arguments.pictures)] if arguments.pictures else []
        words += (
            ["--sizes", *(f"{width}x{height}" for width, height in arguments.sizes)]
            if arguments.sizes
            else []
        )
    return " ".join(words)


def training_command_of(arguments: argparse.Namespace) -> str:
    """Returns the command that makes these figures of training again, the dataset by its last name alone."""
    words = ["scripts/benchmark.py", "--training", arguments.training.resolve().name]
    words += ["--contests", *arguments.contests, "--peers", *arguments.peers]
    words += ["--epochs", str(arguments.epochs), "--image-size", str(arguments.image_size)]
    words += ["--workers", str(arguments.workers)]
    words += ["--threads", str(arguments.threads)] if arguments.threads else []
    words += ["--target", str(arguments.target)] if arguments.target is not None else []
    words += ["--pictures", str(arguments.pictures)] if arguments.pictures else []
    words += ["--first-image-size", str(arguments.first_image_size)] if "full" in arguments.contests else []
    if "frozen" in arguments.contests:
        words += ["--frozen-architecture", arguments.frozen_architecture]
        words += ["--pretrained"] if arguments.pretrained else []
    return " ".join(words)


if __name__ == "__main__":
    run_command(main)
