"""A runtime that could answer, how it did, and what is told and kept of it. Compiles, runs and measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from derm_core.serving.agreement import Agreement
from derm_core.serving.runtimes import Runtime

SHARE = 0.2
"""How much of what a form may differ by it may differ on few drawn pictures: nobody compares it on those to come."""


@dataclass(frozen=True)
class Candidate:
    """A runtime that could answer: what it was made of, and how it did. `runtime` is None where it cannot."""

    name: str
    runtime: Runtime | None
    content: bytes = b""
    agreement: Agreement | None = None
    failure: str = ""
    measured: bool = False
    """Whether its metrics were, on photographs: it may then answer where it was asked for by its name."""

    @property
    def fit(self) -> bool:
        """Whether it may answer."""
        agrees = self.measured or self.agreement is None or self.agreement.within(SHARE)
        return self.runtime is not None and agrees


def reason_for(fit: Sequence[Candidate], seconds: Sequence[float], candidates: Sequence[Candidate]) -> str:
    """Returns why the fastest of the fit ones answers, and why the others do not; `seconds` are those of the fit."""
    times = ", ".join(
        f"{candidate.name} {1e3 * spent:.1f} ms" for candidate, spent in zip(fit, seconds, strict=True)
    )
    others = left_out([candidate for candidate in candidates if not candidate.fit])
    first = f"the fastest that agrees with the reference ({times} a picture with all heatmaps)"
    if len(fit) == 1:
        first = f"the only one that answers here ({times} a picture with all heatmaps)"
    return f"{first}; {others}" if others else first


def left_out(candidates: Sequence[Candidate]) -> str:
    """Returns why each does not answer; those with the same reason together."""
    names: dict[str, list[str]] = {}
    for candidate in candidates:
        names.setdefault(candidate.failure or _difference(candidate.agreement), []).append(candidate.name)
    return "; ".join(
        f"{', '.join(those)} {'is' if len(those) == 1 else 'are'} left out: {reason}"
        for reason, those in names.items()
    )


def _difference(agreement: Agreement | None) -> str:
    assert agreement is not None
    return (
        f"over {agreement.pictures} pictures, {agreement.same_top:.1%} have the same top class, probabilities differ "
        f"by up to {agreement.difference:.3f}, and heatmaps correlate by {agreement.correlation:.4f} or more"
    )


def figures_of(
    candidates: Sequence[Candidate], fit: Sequence[Candidate], seconds: Sequence[float]
) -> Mapping[str, Any]:
    """Returns what was measured of each candidate, by its name, as plain values; `seconds` are those of the fit."""
    figures: dict[str, dict[str, Any]] = {
        candidate.name: {
            "agreement": asdict(candidate.agreement) if candidate.agreement else None,
            "failure": candidate.failure,
            "seconds": None,
        }
        for candidate in candidates
    }
    for candidate, spent in zip(fit, seconds, strict=True):
        figures[candidate.name]["seconds"] = spent
    return figures
