"""Chooses a model's runtime: compiles, compares with the reference, measures, and remembers it for this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
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
    OPENVINO_INT8,
    OPENVINO_SHORT,
    CompiledRuntime,
    Form,
)
from derm_core.serving.compiled_store import CompiledStore, StoredChoice
from derm_core.serving.description import BundleDescription
from derm_core.serving.machine import multiplies
from derm_core.serving.quantised import Quantised, read_quantised
from derm_core.serving.runtime_candidate import Candidate, figures_of, left_out, reason_for
from derm_core.serving.runtimes import AUTO, EAGER, Pixels, Runtime, RuntimeChoice

if TYPE_CHECKING:
    from derm_core.serving.bundle import Bundle

log = logging.getLogger(__name__)

PICTURES = 24
"""How many drawn pictures a compiled form is compared on."""
_ROUNDS, _MOST_SECONDS = 15, 3.0
"""How many times each candidate answers to be measured, or for how long all do."""


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
            that, in the fastest precision that agrees; "openvino-int8" for the network that scripts/quantise.py made,
            which need not agree, since its metrics were measured.
        folder, description: of the bundle.
        load: gives the bundle with its weights.
        threads: cores for one pass.
        passes: how many run side by side.

    Raises:
        BundleError: the network in int8 was asked for by name, and is damaged.
        ConfigError: what was asked for is not installed, cannot run this network, or does not agree with the reference.
    """
    forms, quantised = _forms(asked), _quantised(asked, folder, description)
    if quantised is not None and asked == AUTO and OPENVINO.version is not None:
        forms.append(OPENVINO_INT8)
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

    def made(form: Form) -> Candidate:
        try:
            content = compiler.compile(form)
            runtime = opened(form, content)
            agreement = compare_runtimes(runtime, reference, pictures, description.temperature)
        except Exception as err:
            # Converters and runtimes raise what they like over a network they cannot take; the others may still do.
            log.info("%s cannot be compiled for %s", description.name, form.name, exc_info=True)
            return Candidate(form.name, None, failure=(str(err).strip() or repr(err)).splitlines()[-1])
        return Candidate(form.name, runtime, content, agreement, measured=asked == OPENVINO_INT8.name)

    candidates = [made(form) for form in forms]
    if asked == AUTO:
        candidates.append(Candidate(EAGER, reference))
    fit = [candidate for candidate in candidates if candidate.fit]
    if not fit:
        raise ConfigError(
            f"The runtime {asked} cannot answer for {description.name}: {left_out(candidates)}. "
            f"Answer with the eager runtime."
        )
    seconds = _measure([candidate.runtime for candidate in fit if candidate.runtime], pictures[0])
    place = int(np.argmin(seconds))
    chosen = fit[place]
    reason = reason_for(fit, seconds, candidates)
    if quantised is not None and chosen.name == OPENVINO_INT8.name:
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
        versions["int8"] = quantised.sha256
    sha256 = description.weights_sha256
    return CompiledStore(folder, sha256, asked=asked, threads=threads, passes=passes, versions=versions)


def _forms(asked: str) -> list[Form]:
    """Returns the forms to try; raises ConfigError for one that was asked for by name and is not installed."""
    quick = [form for form in OPENVINO_SHORT if multiplies(form.precision)]
    if asked == AUTO:
        return [form for form in (ONNXRUNTIME, OPENVINO, *quick) if form.version is not None]
    forms = [OPENVINO, *quick] if asked == OPENVINO.name else [FORMS[asked]]
    for form in forms:
        form.check_installed()
    return forms


def _quantised(asked: str, folder: Path, description: BundleDescription) -> Quantised | None:
    """Returns the network in int8 that may answer; None where there is none and none was asked for by its name."""
    if asked not in (AUTO, OPENVINO_INT8.name):
        return None
    try:
        found = read_quantised(folder, description.weights_sha256)
    except BundleError as err:
        if asked != AUTO:
            raise
        log.warning("The network in int8 is left out: %s", err)
        return None
    if found is not None and found.network is not None:
        return found
    if asked == AUTO:
        return None
    reason = f"there is none; {found.figures.sentence()}" if found else "none was made"
    raise ConfigError(
        f"The runtime {asked} needs a network in int8 for {description.name}: {reason}. Make one with "
        "scripts/quantise.py, or answer with the runtime auto."
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
