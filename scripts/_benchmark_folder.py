"""Many pictures with their heatmaps: predict.py against a plain loop, as whole processes over the same files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _benchmark_naive import NaivePeer
from _benchmark_networks import Network
from _benchmark_processes import naive, ours, spend
from _benchmark_runtimes import open_runtime
from PIL import Image

from derm_core.errors import ConfigError
from derm_core.images import load_image
from derm_core.serving.many_files import find_pictures
from derm_core.serving.runtimes import EAGER

_QUALITY = 90
"""Of the JPEG files that are made where a size is asked for; a camera's own are of about this."""


def measure_folder(
    networks: Sequence[Network],
    runtimes: Sequence[str],
    folder: Path,
    *,
    pictures: int,
    plain_pictures: int,
    sizes: Sequence[tuple[int, int]] = (),
) -> list[dict[str, Any]]:
    """Returns, for each size, network and runtime, pictures a second by those of the plain loop.

    The plain loop answers some pictures spread over the folder, and the time that it takes to start does not count;
    ours answers all, and everything counts.

    Args:
        networks, runtimes: what is measured; what is compiled was compiled before. The reference is left out where
            there is another: nobody who has many pictures would wait for it.
        folder: holds the pictures.
        pictures: how many of them; 0 for all.
        plain_pictures: how many of these the plain loop answers.
        sizes: (width, height) that they are brought to; none for as they are.

    Raises:
        ConfigError: there is no picture.
    """
    files, _ = find_pictures([folder])
    files = files[: pictures or None]
    if not files:
        raise ConfigError(f"There is no picture in {folder} to measure on.")
    compiled = [runtime for runtime in runtimes if runtime != EAGER] or runtimes
    found = []
    for size in sizes or (None,):
        with tempfile.TemporaryDirectory() as temporary:
            these = files if size is None else _resized(files, size, Path(temporary))
            some = these[:: max(1, len(these) // plain_pictures)][:plain_pictures]
            told = "as they are" if size is None else f"{size[0]} x {size[1]}"
            for network in networks:
                found += [{"size": told} | row for row in _measure(network, compiled, these, some)]
    return found


def check_plain_loop(network: Network) -> None:
    """Raises ConfigError where the plain loop cannot draw heatmaps of a network, before minutes are spent on others."""
    if not NaivePeer(network.bundle).has_maps:
        raise ConfigError(
            f"Of {network.title} Captum draws no heatmap, so that the plain loop over --folder needs pytorch-grad-cam: "
            "install it with pip install grad-cam, or leave out --folder."
        )


def _measure(
    network: Network, runtimes: Sequence[str], files: Sequence[Path], some: Sequence[Path]
) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        told = "".join(f"{file}\n" for file in some)
        loop = json.loads(spend(naive(network.folder, Path(temporary)), told=told).printed)
    plain_rate = loop["pictures"] / loop["seconds"]
    for runtime in runtimes:
        # As predict.py asks for it where there are many pictures, so that it need not compile.
        open_runtime(network, runtime, threads=1)
        with tempfile.TemporaryDirectory() as temporary:
            whole = spend(ours(network.folder, runtime, files, Path(temporary)))
        rate = len(files) / whole.seconds
        yield {
            "network": network.title,
            "runtime": runtime,
            "pictures": len(files),
            "plain_pictures": len(some),
            "pictures_a_second": rate,
            "plain_pictures_a_second": plain_rate,
            "times_as_many": rate / plain_rate,
            "megabytes": whole.memory / 1e6,
        }


def _resized(files: Sequence[Path], size: tuple[int, int], folder: Path) -> list[Path]:
    """Writes the pictures at another size into a folder, in their order."""
    made = []
    for number, file in enumerate(files):
        made.append(folder / f"{number:06}.jpg")
        load_image(file).resize(size, Image.Resampling.BICUBIC).save(made[-1], quality=_QUALITY)
    return made
