"""The command line of benchmark.py: its options, and whether there is a place for what it writes. Measures nothing."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from _cli import CommandParser

from _benchmark_networks import DEFAULT_ARCHITECTURES, MAIN, MAIN_ARCHITECTURES

from derm_core.errors import ConfigError
from derm_core.serving.quantised import MEASURED

EFFORT = {"rounds": 30, "seconds": 3.0, "starts": 3}
"""How often and how long is measured where nobody says."""
ROUND_SECONDS = 120.0
"""All networks' rounds of one picture take about so long, where they would take longer; their starts, too."""
RUNTIMES = ("eager", "onnxruntime", "openvino")
CONTESTS = ("full", "frozen")
PEERS = ("plain", "timm", "fastai")
MORE_PEERS = ("timm-bfloat16",)


def check_targets(arguments: argparse.Namespace) -> None:
    """Raises ConfigError before minutes are spent on figures that have no place to go."""
    for option, path in (
        ("json", arguments.json),
        ("markdown", arguments.markdown),
        ("plot", arguments.plot),
    ):
        if path and not Path(path).absolute().parent.is_dir():
            raise ConfigError(f"--{option} {path} cannot be written: name a file in a folder that exists.")
    if arguments.plot and arguments.plot.suffix not in (".png", ".svg"):
        raise ConfigError(f"--plot {arguments.plot} must end in .png or .svg.")


def parse_arguments(description: str) -> argparse.Namespace:
    """Reads the command line and checks it; a complaint is one line."""
    parser = CommandParser(description=description)
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
        help=f"networks with random weights, at 224 pixels; {MAIN} stands for {', '.join(MAIN_ARCHITECTURES)} "
        f"(default: {' '.join(DEFAULT_ARCHITECTURES)})",
    )
    parser.add_argument(
        "--runtimes",
        metavar="NAME",
        nargs="+",
        choices=(*RUNTIMES, *MEASURED),
        default=RUNTIMES,
        help=f"what is measured, where it is installed: {', '.join((*RUNTIMES, *MEASURED))}; the last two where "
        f"quantise.py offers them for a model (default: {' '.join(RUNTIMES)})",
    )
    parser.add_argument(
        "--image",
        metavar="FILE",
        type=Path,
        help="a picture for whole processes (default: one drawn, 600 x 450)",
    )
    parser.add_argument("--markdown", metavar="FILE.md", type=Path, help="write the tables")
    parser.add_argument("--plot", metavar="FILE.png|.svg", type=Path, help="write a plot")
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        type=Path,
        help="measure predict.py over the pictures of a folder, too, with the first network",
    )
    parser.add_argument(
        "--sizes",
        metavar="WIDTHxHEIGHT",
        nargs="+",
        type=_size,
        default=(),
        help="measure them as JPEG of these sizes, one after the other, such as 200x150 600x450 (default: as they are)",
    )
    parser.add_argument(
        "--plain-pictures",
        metavar="N",
        type=int,
        default=200,
        help="of these, how many the plain loop answers (default: 200)",
    )
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=int,
        default=EFFORT["rounds"],
        help="of one picture, in which all take turns; fewer where they are slow, so that all networks together take "
        f"about {ROUND_SECONDS / 60:.0f} minutes (default: 30)",
    )
    parser.add_argument(
        "--seconds",
        metavar="N",
        type=float,
        default=EFFORT["seconds"],
        help="for each throughput (default: 3)",
    )
    parser.add_argument(
        "--starts",
        metavar="N",
        type=int,
        default=EFFORT["starts"],
        help="how many times each process starts, within the same limit (default: 3)",
    )
    parser.add_argument(
        "--work",
        metavar="FOLDER",
        type=Path,
        help="where random networks and what is compiled of them are kept (default: nowhere)",
    )
    parser.add_argument("--threads", metavar="N", type=int, help="cores for one pass (default: DERM_THREADS)")
    _add_training_options(parser)
    arguments = parser.parse_args()
    for name in ("rounds", "seconds", "starts", "plain_pictures"):
        if getattr(arguments, name) <= 0:
            parser.error(
                f"argument --{name.replace('_', '-')}: {getattr(arguments, name)} is not a number above 0"
            )
    if arguments.pictures < 0:
        parser.error(f"argument --pictures: {arguments.pictures} is below 0")
    if arguments.first_image_size is None:
        arguments.first_image_size = arguments.image_size // 4
    return arguments


def _size(text: str) -> tuple[int, int]:
    """Returns (width, height) in pixels; argparse says what was wrong with the text."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 600x450")
    return int(width), int(height)


def _add_training_options(parser: argparse.ArgumentParser) -> None:
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
        help="training pictures, with validation pictures in proportion; or pictures of --folder (default: 0, all)",
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
        help="processes that load pictures for the peers, and make RandAugment's changes for us (default: one a core)",
    )
    group.add_argument("--frozen-architecture", metavar="NAME", default="resnet18", help="default: resnet18")
    group.add_argument(
        "--pretrained",
        action="store_true",
        help="start the frozen network from ImageNet's weights, not at random",
    )
