#!/usr/bin/env python3
"""Shows what an answer rests on, by one explanation method or all of them; --measure tells how far to trust each."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from _cli import CommandParser, progress, run_command

from evaluate import natural, positive

from derm_core.diagnoses import NOTICE, get_diagnosis
from derm_core.errors import ConfigError

if TYPE_CHECKING:
    from derm_core.serving.predictor import Predictor

OVERLAY_SIDE = 1024
"""Overlays of larger photographs have this many pixels on their longer side: heatmaps hold no finer detail."""
SANITY_PHOTOGRAPHS = 8


def main() -> None:
    arguments = parse_arguments()
    check(arguments)
    if arguments.measure:
        from _explanation_figures import measure

        measure(arguments)
    else:
        show(arguments)


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__, epilog=NOTICE)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="*", help="pictures to explain")
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        help="'bundled', a registered name, or a bundle's folder (default: what DERM_MODEL names, or bundled)",
    )
    parser.add_argument(
        "--method",
        metavar="NAME,...|all",
        help="grad_cam, grad_cam_layers, layer_cam, gradient, guided_backprop, guided_grad_cam, integrated_gradients, "
        "gradient_shap, occlusion; all means those that suit the network (default: grad_cam; to measure: all)",
    )
    parser.add_argument(
        "--class",
        metavar="CODE",
        dest="code",
        help="the diagnosis to explain (default: the most probable one)",
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        help="write each picture with its heatmaps over it and, of several methods, a sheet to compare them",
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: DERM_DEVICE, or what there is)")
    parser.add_argument("--threads", metavar="N", type=int, help="cores for one pass (default: DERM_THREADS)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is in OUT")
    measuring = parser.add_argument_group("measuring, in place of pictures")
    measuring.add_argument(
        "--measure", action="store_true", help="measure the methods on photographs with outlined lesions"
    )
    measuring.add_argument("--data", metavar="DATASET", type=Path, help="as prepare_data wrote it")
    measuring.add_argument("--split", default="val", help="a split of the dataset, or all (default: val)")
    measuring.add_argument(
        "--masks",
        metavar="ZIP|FOLDER",
        type=Path,
        help="outlines of the lesions, such as HAM10000_segmentations_lesion_tschandl.zip (default: DATASET/masks)",
    )
    measuring.add_argument(
        "--limit",
        metavar="N",
        type=positive,
        help="photographs, each diagnosis with its share (default: all)",
    )
    measuring.add_argument(
        "--sanity",
        metavar="N",
        type=natural,
        default=SANITY_PHOTOGRAPHS,
        help=f"photographs for the sanity checks; 0 leaves them out (default: {SANITY_PHOTOGRAPHS})",
    )
    measuring.add_argument(
        "--stability",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also count how often the answer flips as the photograph is turned or lit anew (default: yes)",
    )
    measuring.add_argument(
        "--bootstrap",
        metavar="N",
        type=positive,
        default=1000,
        help="sets of lesions drawn for the intervals (default: 1000)",
    )
    measuring.add_argument("--seed", metavar="N", type=natural, default=0, help="of all draws (default: 0)")
    measuring.add_argument(
        "--json", metavar="FILE", help="write every figure; - is standard output, without the tables"
    )
    measuring.add_argument("--markdown", metavar="FILE", type=Path, help="write the tables as Markdown")
    return parser.parse_args()


def check(arguments: argparse.Namespace) -> None:
    """Raises ConfigError before the network is loaded, or an hour spent on figures that have no place to go."""
    if arguments.measure:
        if arguments.images or arguments.out or arguments.code:
            raise ConfigError("--measure takes --data DATASET; leave out pictures, --out and --class.")
        if arguments.data is None:
            raise ConfigError("--measure needs --data DATASET, a folder that prepare_data wrote.")
        for option in ("json", "markdown"):
            target = getattr(arguments, option)
            if target in (None, "-"):
                continue
            if Path(target).is_dir() or not Path(target).absolute().parent.is_dir():
                raise ConfigError(
                    f"--{option} {target} cannot be written: name a file in a folder that exists."
                )
        return
    if not arguments.images or arguments.out is None:
        raise ConfigError("Name pictures and --out FOLDER, or --measure and --data DATASET.")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise ConfigError(f"--out {arguments.out} is a file. Name a folder.")
    if arguments.out.is_dir() and any(arguments.out.iterdir()) and not arguments.overwrite:
        raise ConfigError(f"--out {arguments.out} is not empty. Name a new folder, or add --overwrite.")


def show(arguments: argparse.Namespace) -> None:
    """Explains the pictures, and prints a line for each."""
    # Only now, so that --help does not wait for PyTorch.
    from _explanation_figures import chosen_methods

    from derm_core.explanation.methods import DEFAULT_METHOD
    from derm_core.serving.attribution import attributor_of
    from derm_core.serving.loading import load_predictor

    predictor = load_predictor(arguments.model, device=arguments.device, threads=arguments.threads)
    methods = chosen_methods(arguments.method, attributor_of(predictor).methods, DEFAULT_METHOD)
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = target_names(arguments.images)
    shown = progress(arguments.images, description="explaining")
    for image, name in zip(shown, names, strict=True):
        line = explain_picture(predictor, image, methods, arguments.code, arguments.out / name)
        print(f"{image}: {line}", flush=True)
    print(NOTICE)


def target_names(images: Iterable[Path]) -> list[str]:
    """Returns the beginning of the file names for each picture: its own, numbered where two are the same."""
    names: list[str] = []
    for image in images:
        name, number = image.stem, 1
        while name in names:
            number += 1
            name = f"{image.stem}-{number}"
        names.append(name)
    return names


def explain_picture(
    predictor: Predictor, image: Path, methods: Sequence[str], code: str | None, target: Path
) -> str:
    """Writes `<target>-<method>.png` for each method, and `<target>-methods.png` of several; returns what was shown."""
    from _contact_sheet import contact_sheet, lay_over

    from derm_core.explanation.methods import METHODS
    from derm_core.files import replace_file
    from derm_core.images import load_image
    from derm_core.serving.attribution import explain_by

    photograph = load_image(image, min_side=OVERLAY_SIDE)
    written = {}
    for method in methods:
        explanation = explain_by(predictor, image, code, method=method, max_side=OVERLAY_SIDE)
        written[method] = lay_over(photograph, explanation.heatmap)
    pictures = {"-" + method: picture for method, picture in written.items()}
    if len(written) > 1:
        plain = {"Photograph": photograph.resize(next(iter(written.values())).size)}
        titled = {METHODS[method].title: picture for method, picture in written.items()}
        pictures["-methods"] = contact_sheet(plain | titled)
    for ending, picture in pictures.items():
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        replace_file(target.with_name(f"{target.name}{ending}.png"), stream.getvalue())
    share = explanation.prediction.probabilities[explanation.code]
    return f"{get_diagnosis(explanation.code).name}, {100 * share:.0f}%"


if __name__ == "__main__":
    run_command(main)
