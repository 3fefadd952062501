"""What an answer with its heatmap costs against a plain forward pass and against Captum: one picture at a time."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _cli import progress
from derm_core.errors import ConfigError

if TYPE_CHECKING:
    from derm_core.serving.bundle import Bundle

DEFAULT_ARCHITECTURES = ("resnet50", "efficientnet_b0")
WARM_UP_ROUNDS = 3

Case = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """One way to an answer against another, over rounds in which each ran once.

    `ratio` is time of `what` by time of `against` within a round: min, median and max over the rounds;
    `milliseconds` are the medians of both.
    """

    network: str
    starts_from: str
    what: str
    against: str
    ratio: Mapping[str, float]
    milliseconds: Mapping[str, float]


def open_bundles(model: str, architectures: Sequence[str]) -> list[Bundle]:
    """Returns what is measured: a model by name or folder, unless empty, and networks with random weights.

    Raises:
        ConfigError: that is nothing.
    """
    from derm_core.serving.bundle import find_bundle, load_bundle

    bundles = [load_bundle(find_bundle(model))] if model else []
    bundles += [random_bundle(name) for name in architectures]
    if not bundles:
        raise ConfigError("There is nothing to measure. Name a --model or an --architecture.")
    return bundles


def measure_answers(bundles: Sequence[Bundle], image: Path | None, rounds: int) -> dict[str, Any]:
    """Measures each bundle, prints what came of it, and returns all figures as plain values."""
    import torch

    print(f"Batch 1, {rounds} interleaved rounds; ratio of times: median (min to max)\n")
    picture = image.read_bytes() if image else drawn_photograph()
    comparisons = []
    for bundle in bundles:
        torch.manual_seed(0)
        for comparison in measure(bundle, picture, rounds):
            print(readable(comparison), flush=True)
            comparisons.append(asdict(comparison))
    return {"rounds": rounds, "comparisons": comparisons}


def random_bundle(architecture: str) -> Bundle:
    """A bundle in memory: a network of seven classes with random weights, for pictures of 224 pixels."""
    from derm_core.data.transforms import Preprocessing
    from derm_core.diagnoses import TASKS
    from derm_core.models import build_model
    from derm_core.serving.bundle import Bundle, BundleDescription, OperatingPoint

    classes = TASKS["ham7"].classes
    description = BundleDescription(
        name=f"{architecture}, random",
        version="0",
        architecture=architecture,
        task="ham7",
        classes=classes,
        preprocessing=Preprocessing(image_size=224, working_side=300),
        temperature=1.0,
        operating_points=(OperatingPoint("half", 0.5),),
        default_operating_point="half",
    )
    return Bundle(Path(), description, build_model(architecture, len(classes)).state_dict())


def drawn_photograph() -> bytes:
    """A JPEG of 600 x 450 pixels: a dark spot on skin, with noise so that it decodes at the usual cost."""
    import numpy as np
    from PIL import Image

    rows, columns = np.mgrid[:450, :600]
    spot = ((rows - 225) ** 2 + (columns - 300) ** 2 < 120**2)[..., None]
    noise = np.random.default_rng(0).normal(0, 12, (450, 600, 3))
    pixels = (np.where(spot, (110, 70, 60), (215, 175, 160)) + noise).clip(0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def measure(bundle: Bundle, picture: bytes, rounds: int) -> list[Comparison]:
    network = f"{bundle.description.name} ({bundle.description.preprocessing.image_size} px)"
    ours, plain, default, peer = (
        "answer with heatmap",
        "plain forward pass",
        "plain forward pass, PyTorch's default layout",
        "forward pass + Captum LayerGradCam",
    )
    comparisons = []
    cases = dict(zip((ours, plain, default, peer), tensor_cases(bundle), strict=True))
    times = interleaved(cases, rounds, f"{network}, tensor")
    for against in (plain, default, peer):
        comparisons.append(compare(network, "tensor", ours, against, times))
    ours, plain, peer = "explain", "predict", "decoding, forward pass + Captum LayerGradCam"
    cases = dict(zip((ours, plain, peer), file_cases(bundle, picture), strict=True))
    times = interleaved(cases, rounds, f"{network}, picture file")
    for against in (plain, peer):
        comparisons.append(compare(network, "picture file", ours, against, times))
    return comparisons


def tensor_cases(bundle: Bundle) -> tuple[Case, Case, Case, Case]:
    """From float32 (1, 3, S, S): probabilities and heatmap in our one pass, the logits alone in two memory layouts, and
    probabilities with Captum's heatmap. Layout, thread count and frozen parameters are the same for us and the peer."""
    import torch
    from captum.attr import LayerGradCam

    from derm_core.explanation.grad_cam import grad_cam
    from derm_core.models import grad_cam_layer, split_model

    description = bundle.description
    size = description.preprocessing.image_size
    usual = bundle.build_model()
    usual_images = torch.randn(1, 3, size, size)
    model = bundle.build_model().to(memory_format=torch.channels_last)
    images = usual_images.to(memory_format=torch.channels_last)
    body, head = split_model(model, description.architecture)
    captum = LayerGradCam(model, grad_cam_layer(model, description.architecture))
    peer_images = images.clone().requires_grad_()

    def placed(heatmap: torch.Tensor) -> Any:
        array = heatmap.detach().numpy()
        return description.preprocessing.place_heatmap(array / max(float(array.max()), 1e-30), size, size)

    def ours() -> object:
        result = grad_cam(body, head, images)
        return (result.logits / description.temperature).softmax(1), placed(result.heatmaps[0])

    def plain() -> object:
        with torch.inference_mode():
            return model(images)

    def default() -> object:
        with torch.inference_mode():
            return usual(usual_images)

    def peer() -> object:
        with torch.inference_mode():
            probabilities = (model(images) / description.temperature).softmax(1)
        heatmap = captum.attribute(peer_images, int(probabilities.argmax()), relu_attributions=True)
        return probabilities, placed(heatmap[0, 0])

    return ours, plain, default, peer


def file_cases(bundle: Bundle, picture: bytes) -> tuple[Case, Case, Case]:
    """From the bytes of a file: our explain, our predict, and decoding, a forward pass and Captum's heatmap."""
    import torch
    from captum.attr import LayerGradCam

    from derm_core.images import load_image
    from derm_core.models import grad_cam_layer
    from derm_core.serving.predictor import Predictor

    description = bundle.description
    preprocessing = description.preprocessing
    predictor = Predictor(bundle)
    model = bundle.build_model().to(memory_format=torch.channels_last)
    captum = LayerGradCam(model, grad_cam_layer(model, description.architecture))

    def peer() -> object:
        image = load_image(picture, min_side=preprocessing.decoding_side)
        images = preprocessing.tensor(preprocessing.pixels(image))
        with torch.inference_mode():
            probabilities = (model(images) / description.temperature).softmax(1)
        heatmap = captum.attribute(
            images.requires_grad_(), int(probabilities.argmax()), relu_attributions=True
        )
        array = heatmap[0, 0].detach().numpy()
        return probabilities, preprocessing.place_heatmap(array / max(float(array.max()), 1e-30), *image.size)

    return lambda: predictor.explain(picture), lambda: predictor.predict(picture), peer


def interleaved(cases: Mapping[str, Case], rounds: int, description: str) -> dict[str, list[float]]:
    """Seconds of each case in each round; a round runs each case once, in an order that turns from round to round."""
    names = list(cases)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in progress(range(-WARM_UP_ROUNDS, rounds), description=description, unit="rounds"):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            cases[name]()
            if number >= 0:
                times[name].append(time.perf_counter() - started)
    return times


def compare(
    network: str, starts_from: str, what: str, against: str, times: Mapping[str, Sequence[float]]
) -> Comparison:
    ratios = [ours / peer for ours, peer in zip(times[what], times[against], strict=True)]
    return Comparison(
        network=network,
        starts_from=starts_from,
        what=what,
        against=against,
        ratio={"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
        milliseconds={name: 1000 * statistics.median(times[name]) for name in (what, against)},
    )


def readable(comparison: Comparison) -> str:
    ours, peer = comparison.milliseconds.values()
    ratio = comparison.ratio
    return (
        f"{comparison.network}, from a {comparison.starts_from}: {comparison.what} ({ours:.1f} ms) takes "
        f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}) of {comparison.against} ({peer:.1f} ms)"
    )
