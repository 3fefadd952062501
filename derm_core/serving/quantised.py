"""A network in fewer bits beside its bundle, with the figures that let it answer or keep it from that. Makes none.

    <bundle>/int8/figures.json                 QuantisedFigures
    <bundle>/int8/network.xml, network.bin     OpenVINO's IR, where no metric fell
    <bundle>/bf16/figures.json                 QuantisedFigures; the weights are the bundle's own

Beside the bundle where that can be written; otherwise, and for the model that ships, under the home folder's `cache`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from derm_core.errors import BundleError, ConfigError
from derm_core.files import new_folder, write_synced
from derm_core.serving.agreement import Agreement
from derm_core.serving.compiled import OPENVINO_INT8, OPENVINO_SHORT, Form
from derm_core.serving.compiled_store import places_of

FIGURES_FILE, LAYERS_FILE, WEIGHTS_FILE = "figures.json", "network.xml", "network.bin"
METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "malignant_auc",
    "sensitivity_at_operating_point",
    "specificity_at_operating_point",
)
"""What must not fall."""
MOST_FALL = 0.002
"""A metric that is lower by no more than this has not fallen."""
ENOUGH_PICTURES = 500
"""On so many photographs agreement within the limits speaks for itself."""
INT8, BF16 = "int8", "bf16"
MEASURED = {f"openvino-{precision}": precision for precision in (INT8, BF16)}
"""The runtimes that answer where no metric fell, by their names, and the precision that each computes in."""
_SHORT = {(form.precision, form.exact): form for form in OPENVINO_SHORT}


@dataclass(frozen=True)
class QuantisedFigures:
    """What a network in fewer bits was measured to do.

    Attributes:
        weights_sha256: of the bundle that it was made of.
        exact: the share of the layers, from the first one on, that stayed in float32.
        before, after: each of METRICS on the same pictures, by the reference and in fewer bits; null where there is
            none.
        agreement: how near it comes to the reference, over these pictures.
        data: name, split and fingerprint of the dataset, and in int8 how many pictures it was calibrated on.
        versions: of the packages that made it.
        precision: INT8 or BF16.
        moved: the most that a probability of these pictures did; null in files of earlier versions.
    """

    weights_sha256: str
    exact: float
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    agreement: Agreement
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    precision: str = INT8
    moved: float | None = None

    @property
    def form(self) -> Form:
        """What answers with it."""
        return form_of(self.precision, self.exact)

    @property
    def offered(self) -> bool:
        """Whether it may answer where it is asked for by its name: no metric fell, or it agrees with the reference."""
        return not self.fallen or self.agrees

    @property
    def agrees(self) -> bool:
        """Whether it agrees on these very photographs, by the probabilities that were answered.

        A threshold is set at the risk of one photograph, which the smallest difference moves to its other side: there
        sensitivity falls, and nothing else did.
        """
        if self.moved is None or self.agreement.pictures < ENOUGH_PICTURES:
            return False
        return replace(self.agreement, difference=self.moved).within(1.0)

    @property
    def fallen(self) -> tuple[str, ...]:
        """The metrics that fell."""
        pairs = {name: (self.before.get(name), self.after.get(name)) for name in METRICS}
        return tuple(
            name
            for name, (before, after) in pairs.items()
            if before is not None and (after is None or not after >= before - MOST_FALL)
        )

    def sentence(self) -> str:
        """Says what was measured, without a capital."""
        agreement = self.agreement
        told = [
            f"{name.replace('_', ' ')} {self.before[name]:.4f} to {self.after[name]:.4f}"
            for name in self.fallen or METRICS
            if self.before.get(name) is not None and self.after.get(name) is not None
        ]
        moved = f"probabilities differ by up to {self.moved:.3f}, " if self.moved is not None else ""
        verdict = "no metric fell"
        if self.fallen:
            verdict = "it agrees, though these metrics fell" if self.agrees else "these metrics fell"
        return (
            f"on {agreement.pictures} pictures of {self.data.get('name')}, {self.data.get('split')}, "
            f"{agreement.same_top:.1%} have the same top class, {moved}heatmaps correlate by "
            f"{agreement.correlation:.4f} or more, and {verdict} ({', '.join(told)})"
        )


@dataclass(frozen=True)
class Quantised:
    """Figures, and the network in int8 as OpenVINO's IR; None in bf16, and where it may not answer."""

    figures: QuantisedFigures
    network: tuple[bytes, bytes] | None = None

    @property
    def offered(self) -> bool:
        """Whether it may answer where it is asked for by its name."""
        return self.figures.offered

    @property
    def sha256(self) -> str:
        """Of the network."""
        return hashlib.sha256(b"".join(self.network or ())).hexdigest()


def read_quantised(bundle_folder: Path, weights_sha256: str, precision: str) -> Quantised | None:
    """Returns what was made of a bundle's very weights in INT8 or BF16; None where nothing was.

    Raises:
        BundleError: it is damaged.
    """
    for place in places_of(bundle_folder, weights_sha256, precision):
        try:
            values = json.loads((place / FIGURES_FILE).read_text("utf-8"))
            sha256 = values.pop("network_sha256")
            figures = QuantisedFigures(**values | {"agreement": Agreement(**values["agreement"])})
            if figures.weights_sha256 != weights_sha256:
                continue
            if not figures.offered or figures.form != OPENVINO_INT8:
                return Quantised(figures)
            network = (place / LAYERS_FILE).read_bytes(), (place / WEIGHTS_FILE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise BundleError(f"{place} is damaged ({err}). {remedy(precision)}.") from err
        found = Quantised(figures, network)
        if found.sha256 != sha256:
            raise BundleError(f"{place} was altered or cut short. {remedy(precision)}.")
        return found
    return None


def write_quantised(bundle_folder: Path, made: Quantised) -> Path:
    """Keeps a network in fewer bits, or the figures that speak against it; returns the folder.

    Raises:
        ConfigError: there is no place that can be written.
    """
    values = asdict(made.figures) | {"network_sha256": made.sha256}
    refused = ""
    for place in places_of(bundle_folder, made.figures.weights_sha256, made.figures.precision):
        try:
            with new_folder(place) as growing:
                if made.network is not None and made.offered:
                    write_synced(growing / LAYERS_FILE, made.network[0])
                    write_synced(growing / WEIGHTS_FILE, made.network[1])
                write_synced(growing / FIGURES_FILE, (json.dumps(values, indent=2) + "\n").encode())
        except OSError as err:
            refused = f"{place} cannot be written ({err.strerror})"
            continue
        return place
    raise ConfigError(f"{refused}. Set DERM_HOME to a folder of your own.")


def form_of(precision: str, exact: float) -> Form:
    """Returns the form that answers in INT8, or in BF16 behind a share of exact layers.

    Raises:
        KeyError: there is none behind that share.
    """
    return OPENVINO_INT8 if precision == INT8 else _SHORT[precision, exact]


def remedy(precision: str) -> str:
    """Returns what to do where a network in INT8 or BF16 is wanted and there is none, without a full stop."""
    return f"Make it with scripts/quantise.py --precision {precision}"
