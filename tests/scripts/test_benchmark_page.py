"""The benchmark's page, of figures that are made up."""

from __future__ import annotations

from typing import Any

import _benchmark_page as page


def test_the_page_tells_what_was_not_measured_and_why() -> None:
    same = {"min": 0.5, "median": 0.5, "max": 0.5}
    row: dict[str, Any] = {
        "runtime": "openvino-int8",
        "precision": "int8",
        "measured": "on 9 pictures no metric fell",
        "by_plain": {"answer": same, "answer with heatmap": same},
        "times_as_fast_as": {},
        "in_batches_by_plain": 3.0,
        "share_of_peak": None,
        "start_by_plain": None,
        "memory_by_plain": None,
    }
    network = {
        "network": "vit",
        "rounds": 5,
        "runtimes": [row],
        "weights_in_megabytes": 1.0,
        "plain_share_of_peak": 0.4,
        "plain_start_seconds": None,
        "left_out": {"openvino-bf16": "The runtime openvino-bf16 is not offered."},
    }
    machine = dict.fromkeys(
        ("processor", "cores", "torch", "captum", "onnxruntime", "openvino", "grad-cam"), "1"
    )
    report = {"machine": machine, "rounds": 30, "networks": [network], "not_installed": []}
    text = page.tables(report, plot=None, command="scripts/benchmark.py")
    assert "Medians over 30 rounds in which all took turns; of slow networks over fewer (5 of vit)." in text
    assert "| vit | OpenVINO, int8 | 0.50 | 0.50 | not measured | not measured |" in text
    assert "| vit | OpenVINO, bf16 | cannot answer | | | |" in text
    assert "vit, OpenVINO, int8: on 9 pictures no metric fell.\n" in text
    assert "vit, OpenVINO, bf16: The runtime openvino-bf16 is not offered.\n" in text
    assert "| vit | plain | f32 | 1 | 40% | not measured | not measured |" in text
    assert "| vit | OpenVINO, int8 | int8 | 3.00 | not measured | not measured | not measured |" in text
