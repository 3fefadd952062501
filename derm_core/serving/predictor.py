"""The predictor: a photograph in, an answer and its reason out. Holds one model; knows no screen and no store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from derm_core.errors import ConfigError, InvalidImageError, unknown_name
from derm_core.serving.answering_ahead import answered_ahead
from derm_core.serving.bundle_files import BundleFiles
from derm_core.serving.context import PatientContext
from derm_core.serving.decoding import Picture
from derm_core.serving.description import BundleDescription
from derm_core.serving.devices import passes_at_once
from derm_core.serving.network_passes import NetworkPasses
from derm_core.serving.prediction import Explanation, Explanations, Prediction
from derm_core.serving.preparation import PreparedPicture, prepare
from derm_core.serving.runtimes import REFERENCE, Runtime, RuntimeChoice

if TYPE_CHECKING:
    import torch

    from derm_core.serving.bundle import Bundle


class Predictor:
    """Answers photographs with one model.

    Threads may share it: answers do not depend on what else is asked at the time. On the CPU every picture goes through
    the network alone, so that all methods give the same bits for the same file.

    Args:
        bundle: the model; without its weights where a runtime is given.
        device: where the reference runs; None for the CPU.
        runtime: what runs the network; None for the reference.
        choice: why it does.
        passes: how many run side by side; None for as many as there are cores for, with PyTorch's threads.
    """

    def __init__(
        self,
        bundle: Bundle | BundleFiles,
        *,
        device: torch.device | None = None,
        runtime: Runtime | None = None,
        choice: RuntimeChoice = REFERENCE,
        passes: int | None = None,
    ) -> None:
        self._description, self._folder = bundle.description, bundle.folder
        self._device, self._choice = device, choice
        self._passes = NetworkPasses(
            bundle.description, runtime or _reference(bundle, device), passes or passes_at_once()
        )

    @property
    def description(self) -> BundleDescription:
        """What the bundle says of its model."""
        return self._description

    @property
    def folder(self) -> Path:
        """Where its bundle was read."""
        return self._folder

    @property
    def classes(self) -> tuple[str, ...]:
        """Diagnosis codes in the order of the probabilities."""
        return self.description.classes

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        import torch

        return self._device or torch.device("cpu")

    @property
    def batches(self) -> bool:
        """Whether pictures go through the network together, in `predict_many`: on a GPU."""
        return self._passes.runtime.batches

    @property
    def passes(self) -> NetworkPasses:
        """The network alone, for pictures that were prepared with `prepare`."""
        return self._passes

    @property
    def runtime(self) -> RuntimeChoice:
        """What runs the network, and why it is this."""
        return self._choice

    def predict(self, image: Picture, context: PatientContext | None = None) -> Prediction:
        """Returns the answer to a picture, without its reason.

        Args:
            image: a PIL image, used as it is, or a file: its path, its bytes or an open binary stream.
            context: what is known of the patient; it moves the answer where the model has learnt to use it.

        Raises:
            InvalidImageError: the file cannot be read.
        """
        (prediction,) = self._answer([self.prepare(image)], [context])
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
        index = None if code is None else self._index_of(code)
        return self._passes.explained(self.prepare(image), index, context, max_side)

    def features(self, image: Picture) -> NDArray[np.float32]:
        """Returns float32 (K,): what the network sees in a picture, for looking up similar cases.

        It is the activation of the Grad-CAM layer, averaged over its pixels and the picture's views, as
        `Explanation.features` has it.

        Raises:
            InvalidImageError: the file cannot be read.
        """
        (row,) = self._passes.answer([self.prepare(image)])
        return row.features

    def explain_all(
        self, image: Picture, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        """Returns the answer and the heatmaps of all classes, from one pass through the network's body.

        The arguments and errors are those of `explain`. Each heatmap is divided by its own peak, so two of them show
        where, not how much.
        """
        prepared = self.prepare(image)
        (row,) = self._passes.explain_all([prepared])
        return self._passes.explanations(row, prepared, context, max_side)

    def prepare(self, image: Picture) -> PreparedPicture:
        """Decodes, checks and crops a picture, given as to `predict`; raises InvalidImageError."""
        return prepare(image, self.description.preprocessing, self.description.quality)

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
        together = batch_size if self.batches else 1
        return answered_ahead(
            images,
            contexts,
            self._answer,
            self.description.preprocessing,
            self.description.quality,
            together=together,
            raise_errors=on_error == "raise",
        )

    def _answer(
        self, batch: Sequence[PreparedPicture], contexts: Sequence[PatientContext | None]
    ) -> list[Prediction]:
        return [
            self._passes.prediction(row, picture, context)
            for row, picture, context in zip(self._passes.answer(batch), batch, contexts, strict=True)
        ]

    def _index_of(self, code: str) -> int:
        if code not in self.classes:
            raise ConfigError(unknown_name("class", code, self.classes))
        return self.classes.index(code)


def _reference(bundle: Bundle | BundleFiles, device: torch.device | None) -> Runtime:
    # Here, because it brings PyTorch, which the other runtimes do without.
    from derm_core.serving.eager import EagerRuntime

    if isinstance(bundle, BundleFiles):
        raise TypeError(f"The weights in {bundle.folder} are not loaded; the reference needs a Bundle.")
    return EagerRuntime(bundle, device=device)
