"""Chooses a model's runtime: compiles, compares with the reference, measures, and remembers it for this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from derm_core.errors import ConfigError
from derm_core.serving.agreement import Agreement, compare_runtimes
from derm_core.serving.compiled import FORMS, ONNXRUNTIME, OPENVINO, OPENVINO_SHORT, CompiledRuntime, Form
from derm_core.serving.compiled_store import CompiledStore, StoredChoice
from derm_core.serving.description import BundleDescription
from derm_core.serving.machine import multiplies
from derm_core.serving.runtimes import AUTO, EAGER, Pixels, Runtime, RuntimeChoice

if TYPE_CHECKING:
    from derm_core.serving.bundle import Bundle

log = logging.getLogger(__name__)

PICTURES = 24
"""How many drawn pictures a compiled form is compared on."""
_SHARE = 0.2
"""How much of what a form may differ by it may differ on these few pictures: nobody compares it on those to come."""
_ROUNDS, _MOST_SECONDS = 15, 3.0
"""How many times each candidate answers to be measured, or for how long all do."""


@dataclass(frozen=True)
class _Candidate:
    """A runtime that could answer: what it was made of, and how it did. `runtime` is None where it cannot."""

    name: str
    runtime: Runtime | None
    content: bytes = b""
    agreement: Agreement | None = None
    failure: str = ""

    @property
    def fit(self) -> bool:
        return self.runtime is not None and (self.agreement is None or self.agreement.within(_SHARE))


def choose_compiled(
    asked: str,
    folder: Path,
    description: BundleDescription,
    load: Callable[[], Bundle],
    *,
    threads: int,
    passes: int,
) -> tuple[Runtime, RuntimeChoice]:
    """Returns the runtime that answers on this machine's CPU, and why it is this one.

    The first time for a model, a machine and a set of versions, each candidate is compiled, compared with the reference
    on drawn pictures and measured, which takes a minute; afterwards the choice is read, and PyTorch is not needed.

    Args:
        asked: "auto" for the fastest of all that agree, the reference among them; "onnxruntime" or "openvino" for
            that, in the fastest precision that agrees.
        folder, description: of the bundle.
        load: gives the bundle with its weights.
        threads: cores for one pass.
        passes: how many run side by side.

    Raises:
        ConfigError: what was asked for is not installed, cannot run this network, or does not agree with the reference.
    """
    forms = _forms(asked)
    store = CompiledStore(
        folder,
        description.weights_sha256,
        asked=asked,
        threads=threads,
        passes=passes,
        versions={form.package: form.version for form in FORMS.values()} | {"torch": version("torch")},
    )

    def opened(form: Form, content: bytes) -> Runtime:
        return CompiledRuntime(form, content, description.preprocessing, threads=threads, passes=passes)

    kept = store.read()
    if kept is not None:
        try:
            runtime = opened(FORMS[kept.runtime], kept.content) if kept.content else _eager(load())
            return runtime, RuntimeChoice(kept.runtime, kept.reason)
        except Exception as err:
            # Each runtime has exceptions of its own for what it cannot read.
            log.warning("What was compiled for %s cannot be run (%s) and is made again.", asked, err)
    # Here, because it brings PyTorch, which a choice that was made before does not need.
    from derm_core.serving.compiling import FormCompiler

    bundle = load()
    reference, pictures = _eager(bundle), _pictures(description)
    compiler = FormCompiler(bundle, threads=threads, passes=passes)

    def made(form: Form) -> _Candidate:
        try:
            content = compiler.compile(form)
            runtime = opened(form, content)
            agreement = compare_runtimes(runtime, reference, pictures, description.temperature)
        except Exception as err:
            # Converters and runtimes raise what they like over a network they cannot take; the others may still do.
            log.info("%s cannot be compiled for %s", description.name, form.name, exc_info=True)
            return _Candidate(form.name, None, failure=(str(err).strip() or repr(err)).splitlines()[-1])
        return _Candidate(form.name, runtime, content, agreement)

    candidates = [made(form) for form in forms]
    if asked == AUTO:
        candidates.append(_Candidate(EAGER, reference))
    fit = [candidate for candidate in candidates if candidate.fit]
    if not fit:
        raise ConfigError(
            f"The runtime {asked} cannot answer for {description.name}: {_left_out(candidates)}. "
            f"Answer with the eager runtime."
        )
    seconds = _measure([candidate.runtime for candidate in fit if candidate.runtime], pictures[0])
    place = int(np.argmin(seconds))
    chosen = fit[place]
    reason = _reason(chosen, fit, seconds, candidates)
    store.write(StoredChoice(chosen.name, reason, _figures(candidates, fit, seconds), chosen.content))
    log.info("%s answers with %s: %s", description.name, chosen.name, reason)
    assert chosen.runtime is not None
    return chosen.runtime, RuntimeChoice(chosen.name, reason)


def _forms(asked: str) -> list[Form]:
    """Returns the forms to try; raises ConfigError for one that was asked for by name and is not installed."""
    quick = [form for form in OPENVINO_SHORT if multiplies(form.precision)]
    if asked == AUTO:
        return [form for form in (ONNXRUNTIME, OPENVINO, *quick) if form.version is not None]
    forms = [OPENVINO, *quick] if asked == OPENVINO.name else [FORMS[asked]]
    for form in forms:
        form.check_installed()
    return forms


def _eager(bundle: Bundle) -> Runtime:
    from derm_core.serving.eager import EagerRuntime

    return EagerRuntime(bundle)


def _pictures(description: BundleDescription) -> list[Pixels]:
    from derm_core.serving.export import drawn_pictures

    return [description.preprocessing.pixels(picture)[None] for picture in drawn_pictures(PICTURES)]


def _measure(runtimes: Sequence[Runtime], picture: Pixels) -> list[float]:
    """Returns the shortest seconds that each took for an answer with all heatmaps; they take turns."""
    best = [float("inf")] * len(runtimes)
    started = time.perf_counter()
    for number in range(_ROUNDS):
        for place, runtime in enumerate(runtimes):
            before = time.perf_counter()
            runtime.explain_all(picture)
            best[place] = min(best[place], time.perf_counter() - before)
        if number >= 2 and time.perf_counter() - started > _MOST_SECONDS:
            break
    return best


def _reason(
    chosen: _Candidate, fit: Sequence[_Candidate], seconds: Sequence[float], candidates: Sequence[_Candidate]
) -> str:
    times = ", ".join(
        f"{candidate.name} {1e3 * spent:.1f} ms" for candidate, spent in zip(fit, seconds, strict=True)
    )
    left_out = _left_out([candidate for candidate in candidates if not candidate.fit])
    first = f"the fastest that agrees with the reference ({times} a picture with all heatmaps)"
    if len(fit) == 1:
        first = f"the only one that answers here ({times} a picture with all heatmaps)"
    return f"{first}; {left_out}" if left_out else first


def _left_out(candidates: Sequence[_Candidate]) -> str:
    return "; ".join(
        f"{candidate.name} is left out: {candidate.failure or _difference(candidate.agreement)}"
        for candidate in candidates
    )


def _difference(agreement: Agreement | None) -> str:
    assert agreement is not None
    return (
        f"over {agreement.pictures} pictures, {agreement.same_top:.1%} have the same top class, probabilities differ "
        f"by up to {agreement.difference:.3f}, and heatmaps correlate by {agreement.correlation:.4f} or more"
    )


def _figures(
    candidates: Sequence[_Candidate], fit: Sequence[_Candidate], seconds: Sequence[float]
) -> Mapping[str, Any]:
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
