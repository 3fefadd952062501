"""What the machine says of itself, and what is made of a machine that says nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from derm_core.serving import machine

WITH_AMX = (
    "processor : 0\nmodel name\t: Fast CPU\nflags\t\t: fpu avx512f amx_bf16\n\nprocessor : 1\nflags : fpu\n"
)


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def say(text: str) -> None:
        (tmp_path / "cpuinfo").write_text(text)
        machine._fields.cache_clear()

    monkeypatch.setattr(machine, "_CPU_FILE", tmp_path / "cpuinfo")
    machine._fields.cache_clear()
    yield say
    machine._fields.cache_clear()


def test_a_processor_says_what_it_can(says: Callable[[str], None]) -> None:
    says(WITH_AMX)
    assert machine.processor() == "Fast CPU"
    assert machine.multiplies("bf16")
    assert not machine.multiplies("f16")
    says(WITH_AMX.replace("amx_bf16", "avx512_bf16 avx512_fp16"))
    assert machine.multiplies("bf16")
    assert machine.multiplies("f16")
    says(WITH_AMX.replace("amx_bf16", "avx2"))
    assert not machine.multiplies("bf16")


def test_a_machine_that_says_nothing_multiplies_no_short_numbers(says: Callable[[str], None]) -> None:
    assert not machine.multiplies("bf16")
    assert machine.multiplies("f32")
    assert len(machine.fingerprint()) == 16


def test_other_processors_have_other_fingerprints(says: Callable[[str], None]) -> None:
    says(WITH_AMX)
    one = machine.fingerprint()
    assert machine.fingerprint() == one
    says(WITH_AMX.replace("avx512f ", ""))
    assert machine.fingerprint() != one


def test_the_cores_are_those_of_this_process_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert machine.cores() == 3
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert 1 <= machine.cores() <= (os.cpu_count() or 1)
