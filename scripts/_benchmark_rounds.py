"""Ways to the same end that take turns, and what one's time is by another's. Knows nothing of what they do."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from _cli import progress

WARM_UP_ROUNDS = 3
LEAST_ROUNDS = 5
"""So many are measured, however slow they are."""

Case = Callable[[], object]


def interleaved(
    cases: Mapping[str, Case], rounds: int, description: str, *, most_seconds: float = math.inf
) -> dict[str, list[float]]:
    """Seconds of each case in each round; a round runs each case once, in an order that turns from round to round.

    Where slow rounds would take longer than `most_seconds` together, there are fewer: one to warm up, and LEAST_ROUNDS
    or a few more that count.
    """
    names = list(cases)
    times: dict[str, list[float]] = {name: [] for name in names}
    began = time.perf_counter()
    for number in progress(range(-WARM_UP_ROUNDS, rounds), description=description, unit="rounds"):
        spent = time.perf_counter() - began
        if -WARM_UP_ROUNDS < number < 0 and spent * (LEAST_ROUNDS + 1) > most_seconds:
            continue
        if number >= LEAST_ROUNDS and spent >= most_seconds:
            break
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
