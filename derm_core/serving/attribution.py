"""Explains answers by other methods than the predictor's own Grad-CAM. Measures how long each takes; chooses none."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from derm_core.errors import BundleError, ConfigError, unknown_name
from derm_core.explanation.methods import DEFAULT_METHOD, METHODS, attribute, get_method
from derm_core.explanation.split_network import SplitNetwork, split_network
from derm_core.serving.bundle import Bundle, load_bundle
from derm_core.serving.context import PatientContext
from derm_core.serving.decoding import Picture
from derm_core.serving.prediction import Explanation
from derm_core.serving.preparation import place, prepare

if TYPE_CHECKING:
    from derm_core.serving.predictor import Predictor

FAST_WITHIN = 100.0
"""A method is fast enough for a person who waits where it takes no longer than this many plain passes."""
_ROUNDS = 3


@dataclass(frozen=True)
class ExplanationMethod:
    """A method as a screen shows it.

    Attributes:
        name: what `explain_by` wants.
        title: for people.
        description: one sentence for people who do not know networks.
        passes: how long it takes, in plain passes of a picture through the network, measured on this machine.
    """

    name: str
    title: str
    description: str
    passes: float


class Attributor:
    """A bundle's network in PyTorch, apart from the one that answers. Threads may share it; it works for one at a time.

    Args:
        bundle: whose network to explain.
        device: where it runs; the CPU where none is given.
    """

    def __init__(self, bundle: Bundle, *, device: torch.device | None = None) -> None:
        self.description = description = bundle.description
        self.preprocessing = description.preprocessing
        self.device = device or torch.device("cpu")
        self.network: SplitNetwork = split_network(
            bundle.build_model().to(self.device),
            description.architecture,
            image_size=description.preprocessing.image_size,
            views=description.views,
        )
        self._lock = threading.Lock()

    def with_network(self, network: SplitNetwork) -> Attributor:
        """Returns the same for another network, which sees pictures as this one does."""
        other = copy.copy(self)
        for name in ("methods", "passes"):
            other.__dict__.pop(name, None)
        other.network, other._lock = network, threading.Lock()
        return other

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods that suit the network, the default first."""
        return tuple(name for name, method in METHODS.items() if method.reason_against(self.network) is None)

    def heatmap(self, pixels: NDArray[np.uint8], index: int, method: str) -> NDArray[np.float32]:
        """Returns float32 (h, w) in [0, 1]: what speaks for a class, over the network's square input.

        Args:
            pixels: uint8 (S, S, 3), as Preprocessing.pixels gives them.
            index: of the class.
            method: a name of METHODS.

        Raises:
            ConfigError: no such method, or the network does not suit it.
        """
        images = self.preprocessing.tensor(pixels).to(self.device)
        with self._lock:
            maps = attribute(self.network, images, torch.tensor([index], device=self.device), method=method)
        heatmap: NDArray[np.float32] = maps[0].cpu().numpy()
        return heatmap

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns float32 (N, C) of uint8 (N, S, S, 3)."""
        with self._lock, torch.inference_mode(False), torch.no_grad():
            logits = self.network.logits(self.preprocessing.tensor(pixels).to(self.device))
        answers: NDArray[np.float32] = logits.float().cpu().numpy()
        return answers

    @cached_property
    def passes(self) -> Mapping[str, float]:
        """Name to the time that a method took on a blank picture, in plain passes of it; measured when first asked for.

        That takes as long as some hundred pictures, so an app asks for it as it starts.
        """
        side = self.preprocessing.image_size
        blank = np.zeros((side, side, 3), np.uint8)
        plain = min(_seconds(lambda: self.logits(blank[None])) for _ in range(_ROUNDS))

        def ratio(name: str) -> float:
            self.heatmap(blank, 0, DEFAULT_METHOD)
            return _seconds(lambda: self.heatmap(blank, 0, name)) / plain

        return {name: ratio(name) for name in self.methods}


_attributors: WeakKeyDictionary[Predictor, Attributor] = WeakKeyDictionary()
_making = threading.Lock()


def attributor_of(predictor: Predictor) -> Attributor:
    """Returns what explains a predictor's answers; its network is read from the bundle when first asked for.

    Raises:
        BundleError: the bundle is gone, or another one has taken its place.
    """
    with _making:
        if predictor not in _attributors:
            bundle = load_bundle(predictor.folder)
            if bundle.description.weights_sha256 != predictor.description.weights_sha256:
                raise BundleError(
                    f"{predictor.folder} holds other weights than when it was loaded. Load the predictor again."
                )
            _attributors[predictor] = Attributor(bundle, device=predictor.device)
        return _attributors[predictor]


def explanation_methods(predictor: Predictor) -> tuple[ExplanationMethod, ...]:
    """Returns the methods that suit a predictor's network and are fast enough for a person who waits, best known first.

    The first call for a predictor measures them, in about the time of some hundred answers.
    """
    attributor = attributor_of(predictor)
    passes = attributor.passes
    return tuple(
        ExplanationMethod(name, METHODS[name].title, METHODS[name].description, passes[name])
        for name in attributor.methods
        if passes[name] <= FAST_WITHIN or name == DEFAULT_METHOD
    )


def explain_by(
    predictor: Predictor,
    image: Picture,
    code: str | None = None,
    *,
    method: str = DEFAULT_METHOD,
    context: PatientContext | None = None,
    max_side: int | None = None,
) -> Explanation:
    """Returns the answer to a picture and the heatmap of one class by a method of one's choice.

    Args:
        predictor: answers; the answer is that of its `predict`.
        image: as in `Predictor.explain`, and so are `code`, `context`, `max_side` and the heatmap.
        code: the class to explain; None for the most probable one.
        method: "grad_cam" (the predictor's own, from the same pass), or another name of `explanation_methods`.
        context: what is known of the patient.
        max_side: of the heatmap, in pixels.

    Raises:
        InvalidImageError: the file cannot be read.
        ConfigError: the model has no such class, there is no such method, or the network does not suit it.
    """
    if get_method(method).name == DEFAULT_METHOD:
        return predictor.explain(image, code, context=context, max_side=max_side)
    if code is not None and code not in predictor.classes:
        raise ConfigError(unknown_name("class", code, predictor.classes))
    description, attributor = predictor.description, attributor_of(predictor)
    prediction = predictor.predict(image, context)
    shown = prediction.top if code is None else code
    started = time.perf_counter()
    prepared = prepare(image, description.preprocessing, description.quality)
    heatmap = attributor.heatmap(prepared.pixels, predictor.classes.index(shown), method)
    placed = place(heatmap, description.preprocessing, prepared.size, max_side)
    seconds = prediction.seconds + time.perf_counter() - started
    return Explanation(replace(prediction, seconds=seconds), placed, shown)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
