"""Intervals that respect that photographs of one lesion belong together. Knows no metric of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

REPLICATES = 1000
_Z95 = 1.959963984540054
_VALUES_AT_ONCE = 2**18

Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Takes weights, float64 (B, N), and returns arrays of B rows: one figure, or one a class, for each weighting."""


def bootstrap_over_lesions(
    lesions: np.ndarray, statistics: Statistics, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, np.ndarray]:
    """Measures the same figures on many redrawn sets of lesions.

    A redrawn set has as many lesions as the first, drawn with replacement; each brings all of its photographs along
    (the cluster bootstrap: Field and Welsh, J R Stat Soc B 69:369, 2007). It is handed over as the number of times
    that each photograph is in the set, so that figures of many sets can be computed at once.

    Args:
        lesions: (N,), the lesion that each photograph shows.
        statistics: from weights (B, N) to arrays with B rows. A figure that is undefined for a set is NaN.
        replicates: how many sets are drawn.
        seed: of the PCG64 generator; the same seed gives the same sets.

    Returns:
        The arrays of `statistics` for all sets, (replicates, ...).
    """
    parts = [statistics(weights) for weights in _redrawn(lesions, replicates, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentile_interval(values: np.ndarray, value: float) -> list[float] | None:
    """Returns the 95% percentile interval [low, high] of a figure, or None where it is undefined.

    Sets for which the figure is undefined (values NaN) are left out. The interval is stretched where needed to hold
    `value`, the figure as measured: redrawing adds noise, which pushes a figure such as the calibration error up.
    """
    defined = values[np.isfinite(values)]
    if not math.isfinite(value) or not len(defined):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return [float(min(low, value)), float(max(high, value))]


def proportion_interval(values: np.ndarray, value: float, lesions: int) -> list[float] | None:
    """Returns the 95% interval of a share: by percentiles, except for a share of exactly 0 or 1.

    There every redrawn set agrees and the bootstrap would claim certainty, even for five lesions. Wilson's interval
    over the `lesions` that the share is of takes its place.
    """
    if value in (0.0, 1.0) and lesions:
        return wilson_interval(round(value * lesions), lesions)
    return percentile_interval(values, value)


def paired_p_value(differences: np.ndarray) -> float:
    """Returns the two-sided p-value of no difference between two figures, from their differences on the same sets.

    Twice the share of redrawn sets on the rarer side of 0, the figures as measured being counted as one set more
    (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 4.4.1): below 0.05 where the 95%
    percentile interval leaves 0 out. NaN counts on neither side.

    Args:
        differences: float (B,), one figure minus the other on each set.
    """
    rarer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    sets = int(np.isfinite(differences).sum())
    return min(1.0, 2 * (1 + rarer) / (1 + sets))


def wilson_interval(successes: int, trials: int) -> list[float]:
    """Returns the 95% score interval [low, high] of a share (Wilson, J Am Stat Assoc 22:209, 1927)."""
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"Got {successes} of {trials}; wanted a count between 0 and at least one trial.")
    share, z2 = successes / trials, _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return [
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == trials else min(1.0, centre + half),
    ]


def _redrawn(lesions: np.ndarray, replicates: int, seed: int) -> Iterator[np.ndarray]:
    names, lesion_of_photograph = np.unique(np.asarray(lesions), return_inverse=True)
    if not len(names) or replicates < 1:
        raise ValueError(
            f"Got {len(names)} lesions and {replicates} replicates; wanted at least one of each."
        )
    generator = np.random.Generator(np.random.PCG64(seed))
    at_once = max(1, _VALUES_AT_ONCE // len(lesions))
    for start in range(0, replicates, at_once):
        sets = min(at_once, replicates - start)
        drawn = generator.integers(0, len(names), size=(sets, len(names)))
        drawn += np.arange(sets)[:, None] * len(names)
        times = np.bincount(drawn.ravel(), minlength=sets * len(names)).reshape(sets, len(names))
        yield times[:, lesion_of_photograph].astype(np.float64)
