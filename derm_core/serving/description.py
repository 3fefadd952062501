"""What a model.json says of a model: read, checked and written. Touches no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import DIAGNOSES
from derm_core.errors import BundleError, ConfigError
from derm_core.models import check_architecture
from derm_core.models.names import VIEWS
from derm_core.serving.calibration import Calibration
from derm_core.serving.conformal import Conformal
from derm_core.serving.context import ContextModel
from derm_core.serving.format_versions import FORMAT_VERSION, check_format, upgraded
from derm_core.serving.operating_point import OperatingPoint, parse_points
from derm_core.serving.outliers import Reference
from derm_core.serving.parsing import (
    parse_list,
    parse_mapping,
    parse_object,
    parse_positive,
    parse_text,
    parse_three,
    parse_whole,
    wrong,
)
from derm_core.serving.prevalence import Prevalence
from derm_core.serving.quality import QualityLimits

DESCRIPTION_FILE, WEIGHTS_FILE, MODEL_CARD_FILE = "model.json", "model.safetensors", "MODEL_CARD.md"


@dataclass(frozen=True)
class BundleDescription:
    """Everything a bundle says of its model; the fields are the keys of model.json.

    Attributes:
        name, version: of the model, for people.
        architecture: a name of ARCHITECTURES, or one of timm's.
        head_units: of the hidden layer before the classifier; 0 for none.
        views: of each picture, whose logits are averaged.
        task: the task whose classes these are.
        classes: diagnosis codes in the order of the logits.
        preprocessing: how pictures become input.
        temperature: logits are divided by it before the softmax.
        operating_points, default_operating_point: thresholds, and the name of the one that advice follows.
        context: how age, sex and site move the answer; None where they are of no use to this model.
        context_operating_points: as `operating_points` and of the same names, for answers that they have moved.
        calibration: what is added to the scaled logits; None for nothing.
        prevalence: how common malignant lesions were where probabilities and thresholds were set, and where the model
            answers; None where that is not known.
        conformal: how the set of plausible diagnoses is made; None where there is none.
        quality: from where on a picture is not answered.
        reference_statistics: of the training data's features; None where pictures unlike them are answered too.
        metrics: what evaluation measured on the test split.
        data: name, fingerprint, licence and counts of what it was trained on.
        licence, origin: of the weights.
        training: recipe, command and commit.
        weights_sha256: of the weights file; filled in when a bundle is saved.
    """

    name: str
    version: str
    architecture: str
    task: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    operating_points: tuple[OperatingPoint, ...]
    default_operating_point: str
    head_units: int = 0
    views: int = 1
    context: ContextModel | None = None
    context_operating_points: tuple[OperatingPoint, ...] = ()
    calibration: Calibration | None = None
    prevalence: Prevalence | None = None
    conformal: Conformal | None = None
    quality: QualityLimits = field(default_factory=QualityLimits)
    reference_statistics: Reference | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    origin: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def operating_point(self) -> OperatingPoint:
        """The point that advice follows, where nothing is known of the patient."""
        return next(point for point in self.operating_points if point.name == self.default_operating_point)

    @property
    def context_operating_point(self) -> OperatingPoint:
        """The point that advice follows where something is known of the patient."""
        points = self.context_operating_points or self.operating_points
        return next(point for point in points if point.name == self.default_operating_point)

    @property
    def malignant(self) -> tuple[bool, ...]:
        """Whether each class is malignant, in class order."""
        return tuple(DIAGNOSES[code].malignant for code in self.classes)

    def to_json(self) -> str:
        """Returns the text of a model.json; raises BundleError where a value is not plain or not finite."""
        values = asdict(self)
        values["preprocessing"] = self.preprocessing.to_dict()
        values["quality"] = self.quality.to_dict()
        try:
            return json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        except (TypeError, ValueError) as err:
            raise BundleError(
                f"The description of {self.name!r} cannot be written as JSON ({err}). "
                "Give plain values, and None for what is not a number."
            ) from err

    @classmethod
    def from_json(cls, text: str) -> BundleDescription:
        """Reads a model.json; raises BundleError for one that is newer, incomplete or of wrong types."""
        try:
            values = json.loads(text)
        except ValueError as err:
            raise BundleError(f"model.json is not JSON ({err}). Copy the bundle again.") from err
        check_format(values)
        values = parse_object(upgraded(values), "model.json", [field.name for field in fields(cls)])
        classes = _classes(values["classes"])
        description = cls(
            name=parse_text(values, "name"),
            version=parse_text(values, "version"),
            architecture=_architecture(values["architecture"]),
            head_units=parse_whole(values["head_units"], "head_units"),
            views=_views(values["views"]),
            task=parse_text(values, "task"),
            classes=classes,
            preprocessing=_preprocessing(values["preprocessing"]),
            temperature=parse_positive(values["temperature"], "temperature"),
            operating_points=parse_points(
                parse_list(values["operating_points"], "operating_points"), "operating_points"
            ),
            default_operating_point=parse_text(values, "default_operating_point"),
            context=_context(values["context"], len(classes)),
            context_operating_points=parse_points(
                values["context_operating_points"], "context_operating_points"
            ),
            calibration=Calibration.from_dict(values["calibration"], len(classes)),
            prevalence=Prevalence.from_dict(values["prevalence"]),
            conformal=Conformal.from_dict(values["conformal"], len(classes)),
            quality=_quality(values["quality"]),
            reference_statistics=Reference.from_dict(values["reference_statistics"]),
            metrics=parse_mapping(values["metrics"], "metrics"),
            data=parse_mapping(values["data"], "data"),
            licence=parse_text(values, "licence"),
            origin=parse_text(values, "origin"),
            training=parse_mapping(values["training"], "training"),
            weights_sha256=parse_text(values, "weights_sha256"),
        )
        names = [point.name for point in description.operating_points]
        if len(set(names)) != len(names) or description.default_operating_point not in names:
            raise wrong(
                "default_operating_point", description.default_operating_point, f"one of {names}, each once"
            )
        with_context = [point.name for point in description.context_operating_points]
        if with_context not in ([], names) or (with_context and description.context is None):
            raise wrong("context_operating_points", with_context, f"{names}, beside a context, or nothing")
        return description


def read_description(folder: Path) -> BundleDescription:
    """Reads the model.json of a bundle's folder; raises BundleError where it is missing or not as it should be."""
    path = folder / DESCRIPTION_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not text"
        raise BundleError(f"{path} cannot be read ({reason}). Name the folder of a model bundle.") from err
    return BundleDescription.from_json(text)


def _context(value: Any, classes: int) -> ContextModel | None:
    if value is None:
        return None
    try:
        return ContextModel.from_dict(parse_mapping(value, "context"), classes)
    except (ConfigError, TypeError) as err:
        raise _wrong_part("context", err) from err


def _views(value: Any) -> int:
    count = parse_whole(value, "views")
    if count not in VIEWS:
        raise wrong("views", value, f"one of {', '.join(map(str, VIEWS))}")
    return count


def _architecture(value: Any) -> str:
    try:
        return check_architecture(parse_text({"architecture": value}, "architecture"))
    except ConfigError as err:
        raise _wrong_part("architecture", err) from err


def _classes(value: Any) -> tuple[str, ...]:
    codes = parse_list(value, "classes")
    known = all(isinstance(code, str) and code in DIAGNOSES for code in codes)
    if not known or len(codes) < 2 or len(set(codes)) != len(codes):
        raise wrong("classes", codes, f"two or more different codes of {', '.join(DIAGNOSES)}")
    return tuple(codes)


def _preprocessing(value: Any) -> Preprocessing:
    values = parse_mapping(value, "preprocessing")
    try:
        preprocessing = Preprocessing.from_dict(values)
    except (ConfigError, TypeError) as err:
        raise _wrong_part("preprocessing", err) from err
    parse_whole(values["image_size"], "image_size of preprocessing")
    parse_whole(values["working_side"], "working_side of preprocessing")
    parse_positive(values["max_aspect"], "max_aspect of preprocessing")
    if not isinstance(values["samplewise"], bool):
        raise wrong("samplewise of preprocessing", values["samplewise"], "true or false")
    parse_three(values["mean"], "mean of preprocessing")
    for number in parse_three(values["std"], "std of preprocessing"):
        parse_positive(number, "std of preprocessing")
    return preprocessing


def _quality(value: Any) -> QualityLimits:
    try:
        return QualityLimits.from_dict(parse_mapping(value, "quality"))
    except ConfigError as err:
        raise _wrong_part("quality", err) from err


def _wrong_part(name: str, err: Exception) -> BundleError:
    return BundleError(f"In model.json, {name} is wrong: {err} Export or copy the bundle again.")
