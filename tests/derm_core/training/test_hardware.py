"""Device and number format: what is asked for, or what the machine has."""

from __future__ import annotations

import pytest
import torch

from derm_core.training.config import TrainingConfig
from derm_core.training.hardware import choose_hardware


def test_float32_needs_no_autocast() -> None:
    hardware = choose_hardware(TrainingConfig(precision="float32", device="cpu"))
    assert hardware.device == torch.device("cpu")
    assert not hardware.autocasts


def test_bfloat16_can_be_asked_for_on_any_machine() -> None:
    hardware = choose_hardware(TrainingConfig(precision="bfloat16", device="cpu"))
    assert hardware.dtype == torch.bfloat16
    assert hardware.autocasts


@pytest.mark.parametrize("capable", [True, False])
def test_auto_takes_bfloat16_where_the_cpu_computes_with_it(
    capable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    assert choose_hardware(TrainingConfig(device="cpu")).autocasts is capable


def test_a_gpu_that_is_not_there_gives_way_to_the_cpu_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="no usable GPU was found: training on the CPU"):
        assert choose_hardware(TrainingConfig(device="cuda")).device == torch.device("cpu")
    assert choose_hardware(TrainingConfig(device="auto")).device == torch.device("cpu")


def test_the_number_of_threads_is_set_where_it_is_given() -> None:
    before = torch.get_num_threads()
    try:
        choose_hardware(TrainingConfig(threads=2, device="cpu"))
        assert torch.get_num_threads() == 2
        choose_hardware(TrainingConfig(threads=0, device="cpu"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_batch_is_placed_in_the_layout_of_its_convolutions() -> None:
    hardware = choose_hardware(TrainingConfig(device="cpu"))
    placed = hardware.place(torch.zeros(2, 3, 8, 8))
    assert placed.is_contiguous(memory_format=torch.channels_last)
