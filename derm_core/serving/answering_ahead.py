"""Many pictures in order: the next ones are prepared in threads while the network runs. Runs no network itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice, repeat

from derm_core.data.transforms import Preprocessing
from derm_core.errors import InvalidImageError
from derm_core.serving.context import PatientContext
from derm_core.serving.decoding import Picture
from derm_core.serving.prediction import Prediction
from derm_core.serving.preparation import DECODERS, PreparedPicture, prepare_ahead
from derm_core.serving.quality import QualityLimits

Answer = Callable[[Sequence[PreparedPicture], Sequence[PatientContext | None]], list[Prediction]]
"""The answers to some pictures, of which each may have something that is known of its patient."""


def answered_ahead(
    images: Iterable[Picture],
    contexts: Iterable[PatientContext | None],
    answer: Answer,
    preprocessing: Preprocessing,
    limits: QualityLimits,
    *,
    together: int,
    raise_errors: bool,
) -> Iterator[Prediction | InvalidImageError]:
    """Gives the answers to pictures in order, as they are asked for; only a few pictures beyond them are read.

    Args:
        images, contexts: as `Predictor.predict_many` takes them.
        answer: asks the network about 1 to `together` pictures.
        preprocessing, limits: of the model.
        together: how many pictures go through the network at once.
        raise_errors: whether a file that cannot be read is raised; otherwise its InvalidImageError takes its place.
    """
    known = chain(contexts, repeat(None))
    with closing(prepare_ahead(images, preprocessing, limits, ahead=together + DECODERS)) as ready:
        while batch := list(islice(ready, together)):
            whole = [
                (item, context)
                for item, context in zip(batch, islice(known, len(batch)), strict=True)
                if isinstance(item, PreparedPicture)
            ]
            answers = iter(answer(*zip(*whole, strict=True)) if whole else [])
            for item in batch:
                if isinstance(item, PreparedPicture):
                    yield next(answers)
                elif raise_errors:
                    raise item
                else:
                    yield item
