"""Chooses a model's runtime: compiles, compares with the reference, measures, and remembers it for this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from derm_core.errors import BundleError, ConfigError
from derm_core.serving.agreement import compare_runtimes
from derm_core.serving.compiled import (
    FORMS,
    ONNXRUNTIME,
    OPENVINO,
    OPENVINO_SHORT,
    CompiledRuntime,
    Form,
)
from derm_core.serving.compiled_store import CompiledStore, StoredChoice
from derm_core.serving.description import BundleDescription
from derm_core.serving.machine import multiplies
from derm_core.serving.quantised import INT8, MEASURED, Quantised, read_quantised, remedy
from derm_core.serving.runtime_candidate import Candidate, figures_of, left_out, reason_for
from derm_core.serving.runtimes import AUTO, EAGER, FullyExplainedPass, Pixels, Runtime, RuntimeChoice

if TYPE_CHECKING:
    from derm_core.serving.bundle import Bundle

log = logging.getLogger(__name__)

PICTURES = 24
"""How many drawn pictures a compiled form is compared on."""
_ROUNDS, _MOST_SECONDS = 15, 3.0
"""How many times each candidate answers to be measured, or for how long all do."""
_INSTEAD = "Answer with the eager runtime."


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
            that, in the fastest precision that agrees; one of MEASURED for what scripts/quantise.py made or measured,
            which need not agree, since no metric fell.
        folder, description: of the bundle.
        load: gives the bundle with its weights.
        threads: cores for one pass.
        passes: how many run side by side.

    Raises:
        BundleError: a network in fewer bits was asked for by name, and is damaged.
        ConfigError: what was asked for is not installed, cannot run this network, or does not agree with the reference.
    """
    quantised = _quantised(asked, folder, description)
    forms = [] if asked in MEASURED else _forms(asked)
    if quantised is not None and (asked != AUTO or OPENVINO.version is not None):
        forms.append(_checked(quantised.figures.form))
    store = _store(asked, folder, description, quantised, threads=threads, passes=passes)

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
    network = quantised.network if quantised else None
    compiler = FormCompiler(bundle, threads=threads, passes=passes, quantised=network)

    @cache
    def wanted() -> list[FullyExplainedPass]:
        """Only where a form could be compiled; for all of them once."""
        return [reference.explain_all(picture) for picture in pictures]

    def made(form: Form) -> Candidate:
        try:
            content = compiler.compile(form)
            runtime = opened(form, content)
            agreement = compare_runtimes(runtime, pictures, wanted(), description.temperature)
        except Exception as err:
            # Converters and runtimes raise what they like over a network they cannot take; the others may still do.
            log.info("%s cannot be compiled for %s", description.name, form.name, exc_info=True)
            told = (str(err).strip() or repr(err)).splitlines()[-1]
            return Candidate(form.name, None, failure=told.removesuffix(_INSTEAD).rstrip(" ."))
        return Candidate(form.name, runtime, content, agreement, measured=asked in MEASURED)

    candidates = [made(form) for form in forms]
    if asked == AUTO:
        candidates.append(Candidate(EAGER, reference))
    fit = [candidate for candidate in candidates if candidate.fit]
    if not fit:
        raise ConfigError(
            f"The runtime {asked} cannot answer for {description.name}: {left_out(candidates)}. {_INSTEAD}"
        )
    seconds = _measure([candidate.runtime for candidate in fit if candidate.runtime], pictures[0])
    place = int(np.argmin(seconds))
    chosen = fit[place]
    reason = reason_for(fit, seconds, candidates)
    if quantised is not None and chosen.name == quantised.figures.form.name:
        reason += f"; {quantised.figures.sentence()}"
    store.write(StoredChoice(chosen.name, reason, figures_of(candidates, fit, seconds), chosen.content))
    log.info("%s answers with %s: %s", description.name, chosen.name, reason)
    assert chosen.runtime is not None
    return chosen.runtime, RuntimeChoice(chosen.name, reason)


def was_chosen(folder: Path, description: BundleDescription, *, threads: int, passes: int) -> bool:
    """Whether it was found out before what "auto" means for a model on this machine, with these threads and passes."""
    quantised = _quantised(AUTO, folder, description)
    return _store(AUTO, folder, description, quantised, threads=threads, passes=passes).read() is not None


def _store(
    asked: str,
    folder: Path,
    description: BundleDescription,
    quantised: Quantised | None,
    *,
    threads: int,
    passes: int,
) -> CompiledStore:
    versions = {form.package: form.version for form in FORMS.values()} | {"torch": version("torch")}
    if quantised is not None:
        form = quantised.figures.form
        versions[quantised.figures.precision] = quantised.sha256 if quantised.network else form.name
    sha256 = description.weights_sha256
    return CompiledStore(folder, sha256, asked=asked, threads=threads, passes=passes, versions=versions)


def _forms(asked: str) -> list[Form]:
    """Returns the forms to try; raises ConfigError for one that was asked for by name and is not installed."""
    quick = [form for form in OPENVINO_SHORT if multiplies(form.precision)]
    if asked == AUTO:
        return [form for form in (ONNXRUNTIME, OPENVINO, *quick) if form.version is not None]
    return [_checked(form) for form in ([OPENVINO, *quick] if asked == OPENVINO.name else [FORMS[asked]])]


def _checked(form: Form) -> Form:
    """Returns a form that this machine can run; raises ConfigError with what to do for another."""
    form.check_installed()
    form.check_processor()
    return form


def _quantised(asked: str, folder: Path, description: BundleDescription) -> Quantised | None:
    """Returns the network in fewer bits that may answer; None where there is none and none was asked for by its name.

    With "auto" it is that in int8: in bf16 one is tried in any case, and answers where it agrees.
    """
    if asked != AUTO and asked not in MEASURED:
        return None
    precision = MEASURED.get(asked, INT8)
    try:
        found = read_quantised(folder, description.weights_sha256, precision)
    except BundleError as err:
        if asked != AUTO:
            raise
        log.warning("The network in %s is left out: %s", precision, err)
        return None
    if found is not None and found.offered:
        return found
    if asked == AUTO:
        return None
    if found is not None:
        raise ConfigError(
            f"The runtime {asked} is not offered for {description.name}: {found.figures.sentence()}. Answer with the "
            "runtime auto."
        )
    raise ConfigError(
        f"The runtime {asked} needs {description.name} in {precision}, which nobody made or measured yet. "
        f"{remedy(precision)}, or answer with the runtime auto."
    )


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
