"""The runtimes as the benchmark opens them. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from _benchmark_networks import Network
from _benchmark_runtimes import OpenRuntime, one_core_each, open_runtime, pixels_of

from derm_core.serving.agreement import Agreement
from derm_core.serving.eager import EagerRuntime
from derm_core.serving.machine import multiplies
from derm_core.serving.quantised import METRICS, Quantised, QuantisedFigures, write_quantised
from derm_core.serving.runtimes import RuntimeChoice
from tests.tiny_bundle import tiny_bundle


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with tiny_bundle(tmp_path / "tiny") as bundle:
        yield Network("tiny", bundle)


def test_with_a_core_for_each_pass_the_chosen_form_answers_as_before(network: Network) -> None:
    pytest.importorskip("onnxruntime")
    opened = open_runtime(network, "onnxruntime", threads=2)
    alone = one_core_each(network, "onnxruntime", opened)
    assert alone.choice == opened.choice
    assert alone.runtime is not opened.runtime
    pixels = pixels_of(network)
    np.testing.assert_allclose(
        alone.runtime.answer(pixels).logits, opened.runtime.answer(pixels).logits, atol=1e-3
    )
    eager = open_runtime(network, "eager", threads=2)
    assert one_core_each(network, "eager", eager) is eager


def test_a_runtime_in_fewer_bits_tells_what_was_measured(network: Network) -> None:
    pytest.importorskip("openvino")
    if not multiplies("bf16"):
        pytest.skip("the processor multiplies no bfloat16 numbers")
    same = dict.fromkeys(METRICS, 0.9)
    figures = QuantisedFigures(
        weights_sha256=network.bundle.description.weights_sha256,
        exact=0.3,
        before=same,
        after=same,
        agreement=Agreement(9, 1.0, 0.01, 0.99),
        data={"name": "drawn", "split": "val"},
        versions={},
        precision="bf16",
    )
    write_quantised(network.folder, Quantised(figures))
    opened = open_runtime(network, "openvino-bf16", threads=1)
    assert (opened.precision, opened.measured) == ("bf16", figures.sentence())
    assert opened.choice.name == one_core_each(network, "openvino-bf16", opened).runtime.name
    assert opened.choice.name == "openvino-bf16-after-30"


def test_whole_numbers_have_no_peak_of_floating_ones(network: Network) -> None:
    runtime = EagerRuntime(network.bundle)
    assert OpenRuntime(runtime, RuntimeChoice("openvino-int8", "")).precision == "int8"
    assert OpenRuntime(runtime, RuntimeChoice("eager", "")).precision == "f32"
