"""The runtimes as the benchmark asks them: opened for a network, one picture at a time, and as many as they can."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from _benchmark_networks import Network
from _benchmark_rounds import Case

from derm_core.serving.answer import logit_bias
from derm_core.serving.compiled import FORMS, OPENVINO_INT8, CompiledRuntime
from derm_core.serving.compiling import FormCompiler
from derm_core.serving.devices import passes_at_once
from derm_core.serving.eager import EagerRuntime
from derm_core.serving.quantised import INT8, MEASURED, Quantised, read_quantised
from derm_core.serving.runtime_choice import choose_compiled
from derm_core.serving.runtimes import EAGER, REFERENCE, Pixels, Runtime, RuntimeChoice

ANSWER, HEATMAPS = "answer", "answer with heatmap"


@dataclass(frozen=True)
class OpenRuntime:
    """A runtime for one network, which of its forms it is, and what quantise.py found of that, if it was asked."""

    runtime: Runtime
    choice: RuntimeChoice
    measured: str | None = None

    @property
    def precision(self) -> str:
        """Of the numbers that it computes with, mostly."""
        form = FORMS.get(self.choice.name)
        if form == OPENVINO_INT8:
            return INT8
        return form.precision if form else "f32"


def installed(names: Sequence[str]) -> list[str]:
    """Returns the runtimes whose packages are installed."""
    return [name for name in names if name == EAGER or importlib.util.find_spec(FORMS[name].package)]


def open_runtime(network: Network, name: str, *, threads: int) -> OpenRuntime:
    """Returns a runtime that uses so many cores for a pass; raises ConfigError where it cannot answer."""
    bundle = network.bundle
    if name == EAGER:
        return OpenRuntime(EagerRuntime(bundle), REFERENCE)
    runtime, choice = choose_compiled(
        name,
        network.folder,
        bundle.description,
        lambda: bundle,
        threads=threads,
        passes=passes_at_once(threads),
    )
    found = _quantised(network, name)
    return OpenRuntime(runtime, choice, found.figures.sentence() if found else None)


def one_core_each(network: Network, name: str, one: OpenRuntime) -> OpenRuntime:
    """Returns a runtime whose passes run side by side, one a core, in the form that was chosen for all cores."""
    if name == EAGER:
        return one
    form, passes, found = FORMS[one.choice.name], passes_at_once(1), _quantised(network, name)
    compiler = FormCompiler(
        network.bundle, threads=1, passes=passes, quantised=found.network if found else None
    )
    preprocessing = network.bundle.description.preprocessing
    runtime = CompiledRuntime(form, compiler.compile(form), preprocessing, threads=1, passes=passes)
    return replace(one, runtime=runtime)


def _quantised(network: Network, name: str) -> Quantised | None:
    if name not in MEASURED:
        return None
    return read_quantised(network.folder, network.bundle.description.weights_sha256, MEASURED[name])


def cases_of(runtime: Runtime, network: Network) -> dict[str, Case]:
    """From pixels at the network's size: the answer alone, and with the heatmap of its first class laid over them."""
    description = network.bundle.description
    preprocessing = description.preprocessing
    side, pixels, bias = preprocessing.image_size, pixels_of(network), logit_bias(description, None)

    def with_heatmap() -> object:
        heatmap = runtime.explain(pixels, None, bias).heatmaps[0]
        return preprocessing.place_heatmap(heatmap / max(float(heatmap.max()), 1e-30), side, side)

    return {ANSWER: lambda: runtime.answer(pixels), HEATMAPS: with_heatmap}


def pixels_of(network: Network) -> Pixels:
    """Returns one picture of noise, as the network takes it before it is normalised."""
    side = network.bundle.description.preprocessing.image_size
    numbers = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, side, side, 3), generator=numbers, dtype=torch.uint8).numpy()


def most_a_second(case: Case, *, workers: int, seconds: float) -> float:
    """Returns how many times a second a case is done where so many threads do it side by side."""
    case()
    done = [0] * workers
    ends = time.perf_counter() + seconds

    def work(place: int) -> None:
        while True:
            case()
            done[place] += 1
            if time.perf_counter() >= ends:
                return

    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(place,)) for place in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - started)
