"""Ways to the same end that take turns, and what one's time is by another's. Knows nothing of what they do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from _cli import progress

WARM_UP_ROUNDS = 3

Case = Callable[[], object]


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


def ratio(what: Sequence[float], against: Sequence[float]) -> dict[str, float]:
    """Returns min, median and max, over the rounds, of the time of one by that of the other in the same round."""
    ratios = [one / other for one, other in zip(what, against, strict=True)]
    return {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}
