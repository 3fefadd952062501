"""Loads a model to answer with: finds its bundle, and chooses what runs it and where. Answers nothing itself."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.errors import ConfigError
from derm_core.lasting import lasting
from derm_core.serving.bundle_files import BundleFiles, find_bundle, read_weights
from derm_core.serving.description import read_description
from derm_core.serving.devices import (
    RUNTIME_VARIABLE,
    choose_device,
    compiled_threads,
    named_device,
    named_runtime,
    passes_at_once,
    set_threads,
)
from derm_core.serving.machine import may_have_gpu
from derm_core.serving.predictor import Predictor
from derm_core.serving.prevalence import at_prevalence, stated_prevalence
from derm_core.serving.registry import BUNDLED
from derm_core.serving.runtime_choice import choose_compiled, was_chosen
from derm_core.serving.runtimes import AUTO, COMPILE, EAGER, REFERENCE, RuntimeChoice

if TYPE_CHECKING:
    from derm_core.serving.bundle import Bundle

MODEL_VARIABLE = "DERM_MODEL"
COMPILING_PAYS = 1000
"""From so many pictures on, finding out the fastest runtime costs less than it saves."""


def load_predictor(
    model: str | Path | None = None,
    *,
    device: str | None = None,
    threads: int | None = None,
    prevalence: float | None = None,
    runtime: str | None = None,
) -> Predictor:
    """Loads a model to answer with.

    Args:
        model: "bundled", a registered `name` or `name@version`, or a bundle's folder; None means what DERM_MODEL
            names, or "bundled".
        device: "cpu", "cuda" or "cuda:1"; None means what DERM_DEVICE names, or a GPU where there is one that works.
        threads: how many cores one pass may use, for the whole process; None means what DERM_THREADS says, or
            PyTorch's own choice.
        prevalence: the share of the photographs given that show a malignant lesion, above 0 and below 1: risks,
            probabilities and the thresholds on them are moved to it, and the same photographs are referred. None means
            what DERM_PREVALENCE says, or the share in the data that the model was calibrated on.
        runtime: "eager", the reference; "onnxruntime" or "openvino", compiled for this CPU; "openvino-int8" or
            "openvino-bf16", what scripts/quantise.py measured; "auto", the fastest of these that agrees with the
            reference, found out once for a model and a machine; "compile", PyTorch's compiler. None means what
            DERM_RUNTIME says, or "eager".

    Raises:
        BundleError: there is no such model, or its files are incomplete or altered.
        ConfigError: the device, the number of threads, the prevalence or the runtime makes no sense, or what the
            runtime needs is not installed.
    """
    asked = named_runtime(runtime)
    folder = find_bundle(model or os.environ.get(MODEL_VARIABLE) or BUNDLED)
    stated = stated_prevalence(prevalence)
    if asked in (EAGER, COMPILE) or (asked == AUTO and _answers_on_gpu(device)):
        return _load_with_torch(asked, folder, device, threads, stated)
    if (named_device(device) or "cpu") != "cpu":
        raise ConfigError(
            f"The runtime {asked} answers on the CPU. Leave out the device, or name another runtime."
        )
    cores = compiled_threads(threads)
    passes = passes_at_once(cores)
    description = read_description(folder)
    read_weights(folder, description)

    def load() -> Bundle:
        from derm_core.serving.bundle import load_bundle

        set_threads(cores)
        return load_bundle(folder)

    chosen, choice = choose_compiled(asked, folder, description, load, threads=cores, passes=passes)
    files = BundleFiles(folder, at_prevalence(description, stated))
    return Predictor(files, runtime=chosen, choice=choice, passes=passes)


def usual_runtime(
    model: str | Path | None, *, pictures: int, device: str | None = None, threads: int | None = None
) -> str:
    """Returns the runtime for so many pictures: what DERM_RUNTIME says; otherwise "auto" where that pays, or "eager".

    It pays where it was found out before what "auto" means here, or from `COMPILING_PAYS` pictures on.

    Args:
        model, device, threads: as `load_predictor` takes them.

    Raises:
        BundleError, ConfigError: as `load_predictor`.
    """
    if os.environ.get(RUNTIME_VARIABLE):
        return named_runtime()
    if (named_device(device) or "cpu") != "cpu" or may_have_gpu():
        return EAGER
    if pictures >= COMPILING_PAYS:
        return AUTO
    folder, cores = find_bundle(model or os.environ.get(MODEL_VARIABLE) or BUNDLED), compiled_threads(threads)
    known = was_chosen(folder, read_description(folder), threads=cores, passes=passes_at_once(cores))
    return AUTO if known else EAGER


def _load_with_torch(
    asked: str, folder: Path, device: str | None, threads: int | None, prevalence: float | None
) -> Predictor:
    # Here, because it brings PyTorch, which the other runtimes do without.
    with lasting():
        from derm_core.serving.bundle import load_bundle

    set_threads(threads)
    bundle, where = load_bundle(folder), choose_device(device)
    described = replace(bundle, description=at_prevalence(bundle.description, prevalence))
    if asked != COMPILE:
        reason = "compiled forms are for the CPU" if asked == AUTO else REFERENCE.reason
        return Predictor(described, device=where, choice=RuntimeChoice(EAGER, reason))
    from derm_core.serving.torch_compiled import TorchCompiledRuntime

    runtime = TorchCompiledRuntime(bundle, device=where)
    return Predictor(
        described, device=where, runtime=runtime, choice=RuntimeChoice(COMPILE, "it was asked for")
    )


def _answers_on_gpu(device: str | None) -> bool:
    named = named_device(device)
    if named is None and not may_have_gpu():
        return False
    return named != "cpu" and choose_device(named).type == "cuda"
