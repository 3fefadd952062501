"""Splits by lesion, stratified by diagnosis, the same on every machine. Reads no pixels."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from derm_core.errors import ConfigError, DatasetError

SPLITS = ("train", "val", "test")


def split_by_lesion(
    lesions: Sequence[str], diagnoses: Sequence[str], *, val: float, test: float, seed: int = 0
) -> np.ndarray:
    """Shares lesions out to training, validation and test.

    Within each diagnosis the lesions are put in the order of SHA-256("seed:lesion") and the shares are filled by
    largest remainder, so each part is within one lesion of its exact share of every diagnosis. Neither the order of
    the rows nor a random generator has a say, so another machine comes to the same split.

    Args:
        lesions: the lesion of each photograph.
        diagnoses: the diagnosis code of each photograph. A lesion with several counts as its most frequent one.
        val: share of the lesions for validation, in [0, 1).
        test: share of the lesions for test, in [0, 1).
        seed: another seed gives another split.

    Returns:
        str (N,): "train", "val" or "test" for each photograph.
    """
    shares = exact_shares(val=val, test=test)
    split_of: dict[str, str] = {}
    for members in _strata(lesions, diagnoses, seed).values():
        counts = _largest_remainder(len(members), shares)
        names = [name for name, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        split_of.update(zip(members, names, strict=True))
    return np.array([split_of[lesion] for lesion in lesions], dtype=str)


def k_folds(lesions: Sequence[str], diagnoses: Sequence[str], *, folds: int, seed: int = 0) -> np.ndarray:
    """Deals lesions out to folds of the same size and the same mix of diagnoses.

    Ordered as in `split_by_lesion`. Each diagnosis goes on where the one before it stopped, so that neither a
    diagnosis nor the whole differs by more than one lesion between two folds.

    Returns:
        str (N,): "fold-0" ... "fold-{folds - 1}" for each photograph.
    """
    check_folds(folds)
    ordered = [lesion for members in _strata(lesions, diagnoses, seed).values() for lesion in members]
    if len(ordered) < folds:
        raise DatasetError(f"{len(ordered)} lesions cannot fill {folds} folds. Ask for fewer folds.")
    fold_of = {lesion: f"fold-{position % folds}" for position, lesion in enumerate(ordered)}
    return np.array([fold_of[lesion] for lesion in lesions], dtype=str)


def exact_shares(*, val: float, test: float) -> tuple[Fraction, Fraction, Fraction]:
    """Returns the shares of train, val and test; raises ConfigError for shares that make no split.

    A share counts as the decimal that is written: 0.15 of 20 lesions is 3, with nothing to round.
    """
    for name, share in (("val", val), ("test", test)):
        if not 0 <= share < 1:
            raise ConfigError(f"The share of {name} is {share}; wanted: 0 or more and less than 1.")
    of_val, of_test = Fraction(str(val)), Fraction(str(test))
    if of_val + of_test >= 1:
        raise ConfigError(
            f"val {val} and test {test} leave nothing for training. Their sum must be less than 1."
        )
    return 1 - of_val - of_test, of_val, of_test


def check_folds(folds: int) -> None:
    """Raises ConfigError for a number of folds that makes no split."""
    if folds < 2:
        raise ConfigError(f"{folds} folds were asked for; at least 2 are needed.")


def lesions_across_splits(lesions: Sequence[str], splits: Sequence[str]) -> list[str]:
    """Returns, sorted, the lesions that have photographs in more than one split."""
    seen: dict[str, set[str]] = defaultdict(set)
    for lesion, split in zip(lesions, splits, strict=True):
        seen[lesion].add(split)
    return sorted(lesion for lesion, found in seen.items() if len(found) > 1)


def _strata(lesions: Sequence[str], diagnoses: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Returns the lesions of each diagnosis in their seeded order, diagnoses sorted."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for lesion, diagnosis in zip(lesions, diagnoses, strict=True):
        counts[lesion][diagnosis] += 1
    strata: dict[str, list[str]] = defaultdict(list)
    for lesion, found in counts.items():
        strata[min(found, key=lambda code: (-found[code], code))].append(lesion)
    return {
        diagnosis: sorted(strata[diagnosis], key=lambda lesion: (_place(lesion, seed), lesion))
        for diagnosis in sorted(strata)
    }


def _place(lesion: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{lesion}".encode()).digest()


def _largest_remainder(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Returns whole counts that sum to `total`, each within one of its exact share; ties go to the earlier."""
    exact = [total * share for share in shares]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
