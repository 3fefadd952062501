"""Makes a network in int8: calibrated on pictures, and measured against the reference. Needs PyTorch and NNCF.

What lies behind the last convolution, the heatmaps with it, stays in float32; of the layers before it a share from the
first one on, whose rounding goes through all.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.images import load_image
from derm_core.serving.agreement import compare_runtimes
from derm_core.serving.bundle import Bundle
from derm_core.serving.compiled import OPENVINO_INT8, CompiledRuntime, openvino_package
from derm_core.serving.compiling import SUMMING, FormCompiler, openvino_files, openvino_model
from derm_core.serving.eager import EagerRuntime
from derm_core.serving.evaluation import Progress, evaluate_predictor
from derm_core.serving.predictor import Predictor
from derm_core.serving.quantised import METRICS, Quantised, QuantisedFigures
from derm_core.serving.runtimes import Pixels, Runtime

EXACT_SHARES = (0.0, 0.3, 0.6)
"""Tried in this order; the first whose metrics do not fall is taken."""


@dataclass(frozen=True)
class QuantisingData:
    """What a network in int8 is made and measured on.

    Attributes:
        dataset: the whole dataset.
        split: measured on, whole.
        calibrate_on: another split, from which `pictures` are spread evenly.
    """

    dataset: Dataset
    split: str
    calibrate_on: str
    pictures: int


def check_installed() -> None:
    """Raises ConfigError where a package is missing, with what to do."""
    for package in ("openvino", "nncf"):
        try:
            version(package)
        except ImportError as err:
            raise ConfigError(
                f"A network in int8 needs {package}, which is not installed. "
                "Install it with pip install 'derm_core[openvino,int8]'."
            ) from err


def quantise_bundle(
    bundle: Bundle,
    photographs: QuantisingData,
    *,
    threads: int,
    shares: Sequence[float] = EXACT_SHARES,
    progress: Progress | None = None,
    tell: Callable[[str], object] = lambda sentence: None,
) -> Quantised:
    """Returns a network in int8 whose metrics do not fall, or, where there is none, the last one's figures alone.

    Args:
        bundle: the model.
        photographs: which pictures it is made and measured on.
        threads: cores for one pass.
        shares: of layers that stay exact, in the order in which they are tried.
        progress: wraps answers, as `evaluate_predictor` takes it.
        tell: is given a sentence on each attempt.

    Raises:
        ConfigError: a package is missing, the network has no graph, or the model and the dataset share no class.
        DatasetError: the dataset has no such split.
    """
    check_installed()
    description = bundle.description
    seen = _pixels(bundle, photographs.dataset.subset(photographs.calibrate_on), photographs.pictures)
    shown = _pixels(bundle, photographs.dataset.subset(photographs.split), None)
    reference = EagerRuntime(bundle)

    def measured(runtime: Runtime) -> dict[str, float | None]:
        predictor = Predictor(bundle, runtime=runtime)
        figures = evaluate_predictor(
            predictor,
            photographs.dataset,
            split=photographs.split,
            bootstrap=1,
            use_context=False,
            progress=progress,
        ).figures
        return {name: figures.get(name) for name in METRICS}

    before = measured(reference)
    for share in shares:
        network = _quantise(bundle, seen, share)
        content = FormCompiler(bundle, threads=threads, passes=1, quantised=network).compile(OPENVINO_INT8)
        runtime = CompiledRuntime(
            OPENVINO_INT8, content, description.preprocessing, threads=threads, passes=1
        )
        figures = QuantisedFigures(
            weights_sha256=description.weights_sha256,
            exact=share,
            before=before,
            after=measured(runtime),
            agreement=compare_runtimes(runtime, reference, shown, description.temperature),
            data={
                "name": photographs.dataset.folder.resolve().name,
                "split": photographs.split,
                "fingerprint": photographs.dataset.fingerprint(),
                "calibrated_on": photographs.calibrate_on,
                "calibration_pictures": len(seen),
            },
            versions={package: version(package) for package in ("openvino", "nncf")},
        )
        tell(f"With {share:.0%} of the layers in float32: {figures.sentence()}.")
        if not figures.fallen:
            return Quantised(figures, network)
    return Quantised(figures, None)


def _pixels(bundle: Bundle, dataset: Dataset, count: int | None) -> list[Pixels]:
    preprocessing = bundle.description.preprocessing
    places = np.arange(len(dataset))
    if count is not None and count < len(dataset):
        places = np.linspace(0, len(dataset) - 1, count).astype(int)
    return [
        preprocessing.pixels(
            load_image(dataset.image_path(int(place)), min_side=preprocessing.decoding_side)
        )[None]
        for place in places
    ]


def _quantise(bundle: Bundle, seen: Sequence[Pixels], exact: float) -> tuple[bytes, bytes]:
    preprocessing = bundle.description.preprocessing
    # NNCF draws bars on standard output, and warns of its own libraries' ways.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        openvino_package()  # Before NNCF, which would let it tell others.
        nncf: Any = import_module("nncf")
        nncf.set_log_level(logging.ERROR)
        model = openvino_model(bundle)
        quantised = nncf.quantize(
            model,
            nncf.Dataset([{0: preprocessing.array(pixels)} for pixels in seen]),
            subset_size=len(seen),
            preset=nncf.QuantizationPreset.MIXED,
            # The fast way moved the answers of MobileNetV2 five times as often.
            fast_bias_correction=False,
            ignored_scope=nncf.IgnoredScope(names=_exact_layers(model, exact), validate=False),
        )
        return openvino_files(quantised)


def _exact_layers(model: Any, share: float) -> list[str]:
    """Returns the names of the layers that stay in float32: the first ones, and those behind the last convolution."""
    stack = model.get_ordered_ops()
    kinds = [layer.get_type_name() for layer in stack]
    summing = [place for place, kind in enumerate(kinds) if kind in SUMMING]
    last = max((place for place, kind in enumerate(kinds) if kind.endswith("Convolution")), default=-1)
    first = round(share * len(summing))
    begin = summing[first - 1] if first else -1
    return [
        layer.get_friendly_name()
        for place, (layer, kind) in enumerate(zip(stack, kinds, strict=True))
        if (place <= begin or place > last) and kind not in ("Constant", "Parameter", "Result")
    ]
