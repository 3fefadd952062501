"""Makes a network in fewer bits, and measures it against the reference. Needs PyTorch, and NNCF for int8.

Of the layers a share, from the first one on, stays in float32: its rounding would go through all. In int8, which is
calibrated on pictures, what lies behind the last convolution, the heatmaps with it, stays in float32, too.
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
from derm_core.serving.compiled import CompiledRuntime, openvino_package
from derm_core.serving.compiling import SUMMING, FormCompiler, openvino_files, openvino_model
from derm_core.serving.eager import EagerRuntime
from derm_core.serving.evaluation import Evaluated, Progress, evaluate_predictor
from derm_core.serving.predictor import Predictor
from derm_core.serving.quantised import BF16, INT8, METRICS, Quantised, QuantisedFigures, form_of
from derm_core.serving.runtimes import Pixels, Runtime

EXACT_SHARES = (0.0, 0.3, 0.6)
"""Tried in this order; the first that may answer is taken."""
_PACKAGES = {INT8: ("openvino", "nncf"), BF16: ("openvino",)}


@dataclass(frozen=True)
class QuantisingData:
    """What a network in fewer bits is made and measured on.

    Attributes:
        dataset: the whole dataset.
        split: measured on, whole.
        calibrate_on: another split, from which `pictures` are spread evenly; of no use in bf16.
    """

    dataset: Dataset
    split: str
    calibrate_on: str
    pictures: int


def check_machine(precision: str) -> None:
    """Raises ConfigError, with what to do, where a package is missing or the processor does without INT8 or BF16."""
    for package in _PACKAGES[precision]:
        try:
            version(package)
        except ImportError as err:
            extras = "openvino,int8" if precision == INT8 else "openvino"
            raise ConfigError(
                f"A network in {precision} needs {package}, which is not installed. "
                f"Install it with pip install 'derm_core[{extras}]'."
            ) from err
    form_of(precision, 0.0).check_processor()


def quantise_bundle(
    bundle: Bundle,
    photographs: QuantisingData,
    *,
    precision: str = INT8,
    threads: int,
    shares: Sequence[float] = EXACT_SHARES,
    progress: Progress | None = None,
    tell: Callable[[str], object] = lambda sentence: None,
) -> Quantised:
    """Returns a network in fewer bits that may answer, or, where there is none, the figures of the last one tried.

    Args:
        bundle: the model.
        photographs: which pictures it is made and measured on.
        precision: INT8 or BF16.
        threads: cores for one pass.
        shares: of layers that stay exact, in the order in which they are tried.
        progress: wraps answers, as `evaluate_predictor` takes it.
        tell: is given a sentence on each attempt.

    Raises:
        ConfigError: a package is missing, the processor does without the precision, the network has no graph, or the
            model and the dataset share no class.
        DatasetError: the dataset has no such split.
    """
    check_machine(precision)
    description, data = bundle.description, photographs.dataset
    seen: list[Pixels] = []
    if precision == INT8:
        seen = _pixels(bundle, data.subset(photographs.calibrate_on), photographs.pictures)
    shown = _pixels(bundle, data.subset(photographs.split), None)
    reference = EagerRuntime(bundle)

    def measured(runtime: Runtime) -> Evaluated:
        return evaluate_predictor(
            Predictor(bundle, runtime=runtime),
            data,
            split=photographs.split,
            bootstrap=1,
            use_context=False,
            progress=progress,
        )

    before, explained = measured(reference), [reference.explain_all(pixels) for pixels in shown]
    for share in shares:
        form = form_of(precision, share)
        network = _quantise(bundle, seen, share) if precision == INT8 else None
        content = FormCompiler(bundle, threads=threads, passes=1, quantised=network).compile(form)
        runtime = CompiledRuntime(form, content, description.preprocessing, threads=threads, passes=1)
        after = measured(runtime)
        figures = QuantisedFigures(
            weights_sha256=description.weights_sha256,
            exact=share,
            before=_metrics(before),
            after=_metrics(after),
            agreement=compare_runtimes(runtime, shown, explained, description.temperature),
            data={
                "name": data.folder.resolve().name,
                "split": photographs.split,
                "fingerprint": data.fingerprint(),
                "calibrated_on": photographs.calibrate_on if seen else None,
                "calibration_pictures": len(seen),
            },
            versions={package: version(package) for package in _PACKAGES[precision]},
            precision=precision,
            moved=float(np.abs(after.probabilities - before.probabilities).max()),
        )
        tell(f"With {share:.0%} of the layers in float32: {figures.sentence()}.")
        if figures.offered:
            return Quantised(figures, network)
    return Quantised(figures)


def _metrics(evaluated: Evaluated) -> dict[str, float | None]:
    return {name: evaluated.figures.get(name) for name in METRICS}


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
