"""Where a predictor runs and with how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from derm_core.errors import ConfigError
from derm_core.serving.devices import (
    choose_device,
    compiled_threads,
    named_runtime,
    passes_at_once,
    set_threads,
)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_choice_is_the_cpu() -> None:
    assert choose_device() == torch.device("cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_is_not_there_is_one_warning_and_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(
        UserWarning, match=r"^cuda was asked for but cannot be used .*; answering on the CPU\.$"
    ) as caught:
        assert choose_device("cuda") == torch.device("cpu")
    assert len(caught) == 1
    monkeypatch.setenv("DERM_DEVICE", "cuda:1")
    with pytest.warns(UserWarning, match="^cuda:1 was asked for"):
        assert choose_device() == torch.device("cpu")


def test_a_gpu_that_fails_at_first_use_is_one_warning_and_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: out of memory\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", fails)
    with pytest.warns(UserWarning, match=r"\(CUDA error: out of memory\)"):
        assert choose_device("cuda") == torch.device("cpu")
    assert choose_device() == torch.device("cpu")


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_DEVICE", "toaster")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["toaster", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu:"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="Unknown device"):
        choose_device(name)


def test_threads_come_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads(2)
    assert torch.get_num_threads() == 2
    monkeypatch.setenv("DERM_THREADS", "1")
    set_threads()
    assert torch.get_num_threads() == 1
    set_threads(2)
    assert torch.get_num_threads() == 2
    monkeypatch.delenv("DERM_THREADS")
    set_threads()
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DERM_THREADS", value)
    with pytest.raises(ConfigError, match="1 or more"):
        set_threads()
    with pytest.raises(ConfigError, match="1 or more"):
        set_threads(0)


def test_no_more_passes_run_at_once_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    set_threads(2)
    assert passes_at_once() == 4
    assert passes_at_once(4) == 2
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert passes_at_once() == 1


def test_a_compiled_runtime_takes_the_threads_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert compiled_threads() == 3
    monkeypatch.setenv("DERM_THREADS", "2")
    assert compiled_threads() == 2
    assert compiled_threads(1) == 1
    with pytest.raises(ConfigError, match="1 or more"):
        compiled_threads(0)


def test_the_runtime_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_runtime() == "eager"
    monkeypatch.setenv("DERM_RUNTIME", "auto")
    assert named_runtime() == "auto"
    assert named_runtime("openvino") == "openvino"
