"""The diagnoses, the tasks made of them, and the notice that stands on every answer. Knows no pixels and no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from derm_core.errors import ConfigError, unknown_name

NOTICE = "Supports a clinician's decision; not a diagnosis."


@dataclass(frozen=True)
class Diagnosis:
    """One answer that a network can give.

    `malignant` includes what is treated as such: actinic keratosis and Bowen's disease (`akiec`) are carcinoma in situ
    or its precursor, and are referred like carcinomas (Tschandl et al., Sci Data 5:180161, 2018).
    """

    code: str
    name: str
    malignant: bool
    description: str


_ALL = (
    Diagnosis(
        "akiec",
        "Actinic keratosis",
        True,
        "Actinic keratosis or intraepithelial carcinoma (Bowen's disease).",
    ),
    Diagnosis(
        "bcc", "Basal cell carcinoma", True, "The most common skin cancer; grows slowly and rarely spreads."
    ),
    Diagnosis(
        "bkl",
        "Benign keratosis",
        False,
        "Seborrhoeic keratosis, solar lentigo or lichen-planus-like keratosis.",
    ),
    Diagnosis("df", "Dermatofibroma", False, "A harmless, firm nodule of fibrous tissue."),
    Diagnosis("mel", "Melanoma", True, "A malignant tumour of melanocytes; early excision cures most."),
    Diagnosis("nv", "Melanocytic naevus", False, "A mole: a benign growth of melanocytes."),
    Diagnosis("vasc", "Vascular lesion", False, "Angioma, angiokeratoma, pyogenic granuloma or haemorrhage."),
    Diagnosis("benign", "Benign lesion", False, "Any lesion that is not malignant."),
    Diagnosis("malignant", "Malignant lesion", True, "Melanoma, carcinoma, or a lesion treated as one."),
)
DIAGNOSES: Mapping[str, Diagnosis] = {diagnosis.code: diagnosis for diagnosis in _ALL}


@dataclass(frozen=True)
class Task:
    """A label map over a dataset: `classes` in output order, and the class of each diagnosis code.

    Diagnoses that `labels` leaves out are not part of the task.
    """

    name: str
    classes: tuple[str, ...]
    labels: Mapping[str, str]

    def index_of(self, diagnosis: str) -> int | None:
        """Returns the class index of a diagnosis code, or None where the task leaves it out."""
        label = self.labels.get(diagnosis)
        return None if label is None else self.classes.index(label)


_HAM7 = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_SIDES = ("benign", "malignant")
TASKS: Mapping[str, Task] = {
    "ham7": Task("ham7", _HAM7, {code: code for code in _HAM7}),
    "malignancy": Task(
        "malignancy", _SIDES, {code: _SIDES[DIAGNOSES[code].malignant] for code in (*_HAM7, *_SIDES)}
    ),
    "nv-bkl-mel": Task("nv-bkl-mel", ("bkl", "mel", "nv"), {code: code for code in ("bkl", "mel", "nv")}),
}


def get_diagnosis(code: str) -> Diagnosis:
    """Returns the diagnosis of a code; raises ConfigError for one that is not known."""
    try:
        return DIAGNOSES[code]
    except KeyError:
        raise ConfigError(unknown_name("diagnosis", code, DIAGNOSES)) from None


def get_task(name: str) -> Task:
    """Returns the task of a name; raises ConfigError for one that is not known."""
    try:
        return TASKS[name]
    except KeyError:
        raise ConfigError(unknown_name("task", name, TASKS)) from None
