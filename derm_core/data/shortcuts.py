"""Whether a class can be told by its files rather than by its pixels: size, camera, compression, where they came from.

A network learns such a shortcut as readily as it learns the disease (Geirhos et al., Nat Mach Intell 2:665, 2020), and
then fails on the next clinic's files. Looks at no pixel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from derm_core.data.file_properties import BYTES_PER_PIXEL, NUMBERS, PROPERTIES, FileProperties
from derm_core.data.splits import k_folds

ORIGIN = "other dataset that holds the picture"
TOGETHER = "all properties of the file together"
FOLDS = 5
MARGIN = 0.05
"""A class counts as told where the 95% interval of the balanced accuracy lies this far above chance."""
_REPLICATES, _PERMUTATIONS = 500, 20
_COMMON = 24  # values of one property that get a column of their own
_SHOWN = 8  # values of one property in its table
_DEPTH, _LEAF = 6, 5  # of the decision trees


@dataclass(frozen=True)
class Rule:
    """How well a decision tree on one property of the file tells the classes, measured on lesions it did not see.

    `table` shows the commonest values: the value, and how many pictures of each class have it.
    """

    name: str
    accuracy: float
    balanced_accuracy: float
    ci95: tuple[float, float]
    auc: float
    table: tuple[tuple[str, Mapping[str, int]], ...]


@dataclass(frozen=True)
class Shortcuts:
    """The rules for one dataset, best first, and what chance reaches.

    `chance` is the balanced accuracy of guessing, `majority` the accuracy of always answering `majority_class`, and
    `permuted` the balanced accuracy of `TOGETHER` with labels shuffled between lesions: mean and largest of 20.
    """

    classes: tuple[str, ...]
    pictures: int
    chance: float
    majority: float
    majority_class: str
    permuted: tuple[float, float]
    rules: tuple[Rule, ...]

    def rule(self, name: str) -> Rule | None:
        """Returns the rule on one property, or None where all files agree in it."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def tells(self, rule: Rule) -> bool:
        """Tells whether a rule is clearly better than guessing."""
        return rule.ci95[0] > max(self.chance + MARGIN, self.permuted[1])


def find_shortcuts(
    files: Sequence[FileProperties],
    labels: Sequence[str],
    lesions: Sequence[str],
    *,
    origins: Sequence[str] | None = None,
    seed: int = 0,
) -> Shortcuts | None:
    """Measures how well each property of the files tells the classes apart.

    A decision tree is fitted on four fifths of the lesions and asked about the rest, five times. Classes weigh the same
    in it, except for the origin: that a small dataset took some classes of a large one is no flaw of the large one, so
    there the rule must also beat the commonest answer. The interval is a bootstrap over lesions of those answers.

    Args:
        files: of each picture.
        labels: the class of each picture; classes of fewer than five lesions are left out.
        lesions: the lesion of each picture.
        origins: in words, which other dataset holds the same picture; one more property, beside the file's own.
        seed: of folds, trees, permutations and bootstrap.

    Returns:
        None where fewer than two classes have five lesions.
    """
    per_class = Counter(label for label, _ in set(zip(labels, lesions, strict=True)) if label)
    kept = [index for index, label in enumerate(labels) if per_class[label] >= FOLDS and label]
    classes = tuple(sorted({labels[index] for index in kept}))
    if len(classes) < 2:
        return None
    kept_files = [files[index] for index in kept]
    kept_lesions = [lesions[index] for index in kept]
    truth = np.array([classes.index(labels[index]) for index in kept])
    folds = k_folds(kept_lesions, [labels[index] for index in kept], folds=FOLDS, seed=seed)
    trial = _Trial(truth, len(classes), folds, np.unique(kept_lesions, return_inverse=True)[1], seed)

    words = {name: [value(file) for file in kept_files] for name, value in PROPERTIES.items()}
    words[BYTES_PER_PIXEL] = _binned([file.bytes_per_pixel for file in kept_files])
    columns = {name: _columns(name, words[name], kept_files) for name in PROPERTIES}
    if origins is not None:
        words[ORIGIN] = [origins[index] for index in kept]
        columns[ORIGIN] = _one_hot(words[ORIGIN])
    columns = {name: found for name, found in columns.items() if len(np.unique(found, axis=0)) > 1}
    rules = [trial.rule(name, found, _table(words[name], truth, classes)) for name, found in columns.items()]
    of_files = [found for name, found in columns.items() if name != ORIGIN]
    permuted = (1 / len(classes), 1 / len(classes))
    if of_files:
        together = np.concatenate(of_files, axis=1)
        rules.append(trial.rule(TOGETHER, together, ()))
        permuted = trial.permuted(together)
    majority = Counter(truth.tolist()).most_common(1)[0]
    return Shortcuts(
        classes,
        len(kept),
        1 / len(classes),
        majority[1] / len(kept),
        classes[majority[0]],
        permuted,
        tuple(sorted(rules, key=lambda rule: -rule.balanced_accuracy)),
    )


@dataclass(frozen=True)
class _Trial:
    """One dataset's labels, int (N,), in `count` classes, with its folds and lesions, (N,): what every rule faces."""

    truth: np.ndarray
    count: int
    folds: np.ndarray
    lesions: np.ndarray
    seed: int

    def rule(self, name: str, columns: np.ndarray, table: tuple[tuple[str, Mapping[str, int]], ...]) -> Rule:
        shares = self._answer(columns, self.truth, balanced=name != ORIGIN)
        right = shares.argmax(axis=1) == self.truth
        auc = roc_auc_score(
            self.truth, shares[:, 1] if self.count == 2 else shares, multi_class="ovr", average="macro"
        )
        balanced = balanced_accuracy_score(self.truth, shares.argmax(axis=1))
        return Rule(name, float(right.mean()), float(balanced), self._interval(right), float(auc), table)

    def permuted(self, columns: np.ndarray) -> tuple[float, float]:
        generator = np.random.default_rng(self.seed)
        _, first = np.unique(self.lesions, return_index=True)
        scores = []
        for _ in range(_PERMUTATIONS):
            shuffled = generator.permutation(self.truth[first])[self.lesions]
            answers = self._answer(columns, shuffled, balanced=True).argmax(axis=1)
            scores.append(float(balanced_accuracy_score(shuffled, answers)))
        return float(np.mean(scores)), max(scores)

    def _answer(self, columns: np.ndarray, truth: np.ndarray, *, balanced: bool) -> np.ndarray:
        """Returns float64 (N, C): the probabilities that trees give which did not see the picture's lesion."""
        shares = np.zeros((len(truth), self.count))
        for fold in np.unique(self.folds):
            held_out = self.folds == fold
            tree = DecisionTreeClassifier(
                max_depth=_DEPTH,
                min_samples_leaf=_LEAF,
                class_weight="balanced" if balanced else None,
                random_state=self.seed,
            ).fit(columns[~held_out], truth[~held_out])
            shares[np.ix_(held_out, tree.classes_)] = tree.predict_proba(columns[held_out])
        return shares

    def _interval(self, right: np.ndarray) -> tuple[float, float]:
        """Returns the 95% percentile interval of the balanced accuracy over redrawn lesions."""
        generator = np.random.default_rng(self.seed)
        count = self.lesions.max() + 1
        times = generator.multinomial(count, np.full(count, 1 / count), size=_REPLICATES)
        of_class = np.eye(self.count)[self.truth]
        # Summed by lesion first: the weights of all pictures at once would fill the memory for large sets.
        hits, all_of_it = (np.zeros((count, self.count)) for _ in range(2))
        np.add.at(hits, self.lesions, of_class * right[:, None])
        np.add.at(all_of_it, self.lesions, of_class)
        drawn = times @ all_of_it
        recalls = np.where(drawn > 0, times @ hits / np.maximum(drawn, 1), np.nan)
        low, high = np.percentile(np.nanmean(recalls, axis=1), [2.5, 97.5])
        return float(low), float(high)


def _columns(name: str, words: Sequence[str], files: Sequence[FileProperties]) -> np.ndarray:
    parts = [_one_hot(words)] if name != BYTES_PER_PIXEL else []
    if name in NUMBERS:
        parts.append(np.array([NUMBERS[name](file) for file in files], dtype=np.float64))
    return np.concatenate(parts, axis=1)


def _one_hot(words: Sequence[str]) -> np.ndarray:
    common = [value for value, _ in Counter(words).most_common(_COMMON)]
    return np.array([[word == value for value in common] for word in words], dtype=np.float64)


def _binned(values: Sequence[float]) -> list[str]:
    """Returns the quarter that each value lies in, in words."""
    edges = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    quarter = np.searchsorted(edges[1:-1], values, side="right")
    return [f"{edges[place]:.2f} to {edges[place + 1]:.2f}" for place in quarter]


def _table(
    words: Sequence[str], truth: np.ndarray, classes: Sequence[str]
) -> tuple[tuple[str, Mapping[str, int]], ...]:
    counts = Counter(zip(words, truth.tolist(), strict=True))
    rows = [
        (value, {name: counts[value, place] for place, name in enumerate(classes)})
        for value, _ in Counter(words).most_common(_SHOWN)
    ]
    rest = {
        name: int((truth == place).sum()) - sum(row[name] for _, row in rows)
        for place, name in enumerate(classes)
    }
    return (*rows, ("other", rest)) if any(rest.values()) else tuple(rows)
