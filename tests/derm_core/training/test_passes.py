"""Passes side by side: the same bits in the same order, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch
from torch import Tensor

from derm_core.models import build_model
from derm_core.training.hardware import Hardware
from derm_core.training.passes import run_passes

CPU = Hardware(torch.device("cpu"), torch.float32)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_passes_give_what_one_pass_after_the_other_gives(threads: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = build_model("mobilenet_v3_small", 3).eval()
    batches = list(torch.randn(5, 4, 3, 64, 64))
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        expected = [network(batch) for batch in batches]
    found = list(run_passes(network, batches, Hardware(torch.device("cpu"), dtype)))
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_several_passes_run_at_once_where_there_are_several_threads(threads: int) -> None:
    shared_by = []
    both = threading.Barrier(threads)

    def answer(batch: Tensor) -> Tensor:
        both.wait(60)
        shared_by.append(torch.get_num_threads())
        return batch

    assert len(list(run_passes(answer, list(torch.zeros(2, 1)), CPU))) == 2
    assert shared_by == [1, 1]


def test_the_number_of_threads_is_what_it_was_and_none_is_left(threads: int) -> None:
    before = threading.active_count()
    with closing(run_passes(torch.neg, iter(torch.zeros(20, 1)), CPU)) as answers:
        next(answers)
    assert threading.active_count() == before
    assert torch.get_num_threads() == threads
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [threads]


def test_what_a_pass_raises_reaches_the_caller(threads: int) -> None:
    def refuse(batch: Tensor) -> Tensor:
        raise FloatingPointError("no")

    with pytest.raises(FloatingPointError):
        list(run_passes(refuse, [torch.zeros(1)], CPU))
