"""The predictor: a photograph in, an answer and its reason out. Holds one model; knows no screen and no store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice, repeat
from pathlib import Path
from threading import BoundedSemaphore
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from derm_core.errors import ConfigError, InvalidImageError, unknown_name
from derm_core.explanation.grad_cam import grad_cam, grad_cam_all
from derm_core.models import activation_map, split_model
from derm_core.models.views import MeanHead, ViewedBody, merge_heatmaps
from derm_core.serving.answer import context_bias, make_prediction
from derm_core.serving.bundle import Bundle, BundleDescription, find_bundle, load_bundle
from derm_core.serving.context import PatientContext
from derm_core.serving.decoding import Picture
from derm_core.serving.devices import choose_device, passes_at_once, set_threads
from derm_core.serving.prediction import Explanation, Explanations, Prediction
from derm_core.serving.preparation import DECODERS, PreparedPicture, place, prepare, prepare_ahead
from derm_core.serving.registry import BUNDLED

MODEL_VARIABLE = "DERM_MODEL"


def load_predictor(
    model: str | Path | None = None, *, device: str | None = None, threads: int | None = None
) -> Predictor:
    """Loads a model to answer with.

    Args:
        model: "bundled", a registered `name` or `name@version`, or a bundle's folder; None means what DERM_MODEL
            names, or "bundled".
        device: "cpu", "cuda" or "cuda:1"; None means what DERM_DEVICE names, or a GPU where there is one that works.
        threads: how many cores one pass may use, for the whole process; None means what DERM_THREADS says, or
            PyTorch's own choice.

    Raises:
        BundleError: there is no such model, or its files are incomplete or altered.
        ConfigError: the device or the number of threads makes no sense.
    """
    set_threads(threads)
    bundle = load_bundle(find_bundle(model or os.environ.get(MODEL_VARIABLE) or BUNDLED))
    return Predictor(bundle, device=choose_device(device))


class Predictor:
    """Answers photographs with one model.

    Threads may share it: answers do not depend on what else is asked at the time. On the CPU every picture goes through
    the network alone, so that all methods give the same bits for the same file.
    """

    def __init__(self, bundle: Bundle, *, device: torch.device | None = None) -> None:
        self._description = bundle.description
        self._device = device or torch.device("cpu")
        # Channels last took 0.75 to 0.95 of the time of the usual layout (MobileNetV2, EfficientNet-B0, ResNet-50).
        model = bundle.build_model().to(self._device).to(memory_format=torch.channels_last)
        self._body: nn.Module
        self._head: nn.Module
        self._body, self._head = split_model(model, bundle.description.architecture)
        self._to_map, self._views = activation_map(model), bundle.description.views
        if self._views > 1:
            self._body = ViewedBody(self._body, self._views)
            self._head = MeanHead(self._head, self._views)
        self._preprocessing = bundle.description.preprocessing
        self._passes = BoundedSemaphore(passes_at_once())

    @property
    def description(self) -> BundleDescription:
        """What the bundle says of its model."""
        return self._description

    @property
    def classes(self) -> tuple[str, ...]:
        """Diagnosis codes in the order of the probabilities."""
        return self.description.classes

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def predict(self, image: Picture, context: PatientContext | None = None) -> Prediction:
        """Returns the answer to a picture, without its reason.

        Args:
            image: a PIL image, used as it is, or a file: its path, its bytes or an open binary stream.
            context: what is known of the patient; it moves the answer where the model has learnt to use it.

        Raises:
            InvalidImageError: the file cannot be read.
        """
        prepared = prepare(image, self._preprocessing, self.description.quality)
        (prediction,) = self._answer([prepared], [context])
        return prediction

    def explain(
        self,
        image: Picture,
        code: str | None = None,
        *,
        context: PatientContext | None = None,
        max_side: int | None = None,
    ) -> Explanation:
        """Returns the answer and the Grad-CAM heatmap of one class, from one pass through the network.

        Args:
            image: as in `predict`.
            code: the class to explain; None for the most probable one.
            context: as in `predict`; the heatmap shows the photograph's part alone.
            max_side: where the picture's longer side has more pixels, the heatmap is that of the picture reduced to
                this; None for the full size, 4 bytes a pixel.

        Raises:
            InvalidImageError: the file cannot be read.
            ConfigError: the model has no such class.
        """
        classes = None if code is None else torch.tensor([self._index_of(code)], device=self._device)
        bias = context_bias(self.description, context)
        prepared = prepare(image, self._preprocessing, self.description.quality)
        started = time.perf_counter()
        with self._passes:
            result = grad_cam(
                self._body,
                self._head,
                self._input([prepared]),
                classes,
                bias=torch.from_numpy(bias).float().to(self._device),
                to_map=self._to_map,
            )
            (logits,), (heatmap,) = result.logits.cpu().numpy(), self._merged(result.heatmaps)
            shown = self.classes[int(result.classes)]
        placed = place(heatmap, self._preprocessing, prepared.size, max_side)
        seconds = time.perf_counter() - started
        return Explanation(
            make_prediction(self.description, logits, prepared, context, seconds), placed, shown
        )

    def explain_all(
        self, image: Picture, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        """Returns the answer and the heatmaps of all classes, from one pass through the network's body.

        The arguments and errors are those of `explain`. Each heatmap is divided by its own peak, so two of them show
        where, not how much.
        """
        prepared = prepare(image, self._preprocessing, self.description.quality)
        started = time.perf_counter()
        with self._passes:
            result = grad_cam_all(self._body, self._head, self._input([prepared]), to_map=self._to_map)
            (logits,), (heatmaps,) = result[0].cpu().numpy(), self._merged(result[1])
        placed = {
            code: place(heatmap, self._preprocessing, prepared.size, max_side)
            for code, heatmap in zip(self.classes, heatmaps, strict=True)
        }
        seconds = time.perf_counter() - started
        return Explanations(make_prediction(self.description, logits, prepared, context, seconds), placed)

    @overload
    def predict_many(
        self,
        images: Iterable[Picture],
        *,
        contexts: Iterable[PatientContext | None] = (),
        batch_size: int = 32,
        on_error: Literal["raise"] = "raise",
    ) -> Iterator[Prediction]: ...

    @overload
    def predict_many(
        self,
        images: Iterable[Picture],
        *,
        contexts: Iterable[PatientContext | None] = (),
        batch_size: int = 32,
        on_error: Literal["return"],
    ) -> Iterator[Prediction | InvalidImageError]: ...

    def predict_many(
        self,
        images: Iterable[Picture],
        *,
        contexts: Iterable[PatientContext | None] = (),
        batch_size: int = 32,
        on_error: Literal["raise", "return"] = "raise",
    ) -> Iterator[Prediction | InvalidImageError]:
        """Answers pictures one after the other, in order, decoding the next ones while the network runs.

        Answers come as they are asked for; only a few pictures beyond them are read, however many there are.

        Args:
            images: each as in `predict`.
            contexts: what is known of each picture's patient, in the same order; nothing of those beyond its end.
            batch_size: how many pictures may go through the network together on a GPU. On the CPU they always go
                alone: the bundled network gains nothing from a batch, and answers are those of `predict`, bit for bit.
            on_error: "raise" ends at the first file that cannot be read; "return" gives its InvalidImageError in its
                place and goes on.

        Raises:
            InvalidImageError: a file cannot be read, and `on_error` is "raise".
            ConfigError: an option makes no sense.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; it must be 1 or more.")
        if on_error not in ("raise", "return"):
            raise ConfigError(f"on_error is {on_error!r}; it must be 'raise' or 'return'.")
        together = 1 if self._device.type == "cpu" else batch_size
        return self._answers(images, chain(contexts, repeat(None)), together, on_error == "raise")

    def _answers(
        self,
        images: Iterable[Picture],
        contexts: Iterator[PatientContext | None],
        together: int,
        raise_errors: bool,
    ) -> Iterator[Prediction | InvalidImageError]:
        ready = prepare_ahead(
            images, self._preprocessing, self.description.quality, ahead=together + DECODERS
        )
        with closing(ready):
            while batch := list(islice(ready, together)):
                known = list(islice(contexts, len(batch)))
                whole = [
                    (item, context)
                    for item, context in zip(batch, known, strict=True)
                    if isinstance(item, PreparedPicture)
                ]
                answers = iter(self._answer([item for item, _ in whole], [context for _, context in whole]))
                for item in batch:
                    if isinstance(item, PreparedPicture):
                        yield next(answers)
                    elif raise_errors:
                        raise item
                    else:
                        yield item

    def _answer(
        self, batch: Sequence[PreparedPicture], contexts: Sequence[PatientContext | None]
    ) -> list[Prediction]:
        if not batch:
            return []
        started = time.perf_counter()
        with self._passes, torch.inference_mode():
            logits = self._head(self._body(self._input(batch))).float().cpu().numpy()
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            make_prediction(self.description, row, item, context, seconds)
            for row, item, context in zip(logits, batch, contexts, strict=True)
        ]

    def _input(self, batch: Sequence[PreparedPicture]) -> torch.Tensor:
        """Returns float32 (N, 3, S, S), channels last, on the device."""
        pixels = torch.from_numpy(np.stack([item.pixels for item in batch])).to(self._device)
        return self._preprocessing.tensor(pixels)

    def _merged(self, heatmaps: torch.Tensor) -> NDArray[np.float32]:
        return merge_heatmaps(heatmaps, self._views).cpu().numpy()

    def _index_of(self, code: str) -> int:
        if code not in self.classes:
            raise ConfigError(unknown_name("class", code, self.classes))
        return self.classes.index(code)
