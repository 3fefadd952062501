"""What this machine computes with: the processor's name, its cores, and what numbers it is quick at. Needs no torch."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from pathlib import Path

_CPU_FILE = Path("/proc/cpuinfo")
_FLAGS = {"bf16": frozenset({"avx512_bf16", "amx_bf16"}), "f16": frozenset({"avx512_fp16", "amx_fp16"})}


def processor() -> str:
    """Returns the processor's name."""
    return _fields().get("model name") or platform.processor() or platform.machine()


def multiplies(precision: str) -> bool:
    """Whether the processor itself multiplies "bf16" or "f16" numbers, by AVX-512 or AMX; False where not told.

    Every processor multiplies "f32" numbers.
    """
    if precision == "f32":
        return True
    return not _FLAGS[precision].isdisjoint(_fields().get("flags", "").split())


def may_have_gpu() -> bool:
    """Whether it is worth asking PyTorch for a GPU: on Linux only where NVIDIA's driver shows itself."""
    return platform.system() != "Linux" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg")))


def cores() -> int:
    """Returns how many cores a pass uses where nobody says: what OMP_NUM_THREADS says, or all this process may use."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and int(named):
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fingerprint() -> str:
    """Returns 16 hexadecimal digits that differ between processors for which a network is compiled differently."""
    parts = (platform.system(), platform.machine(), processor(), _fields().get("flags", ""))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def _fields() -> dict[str, str]:
    """What the system says of the first processor; nothing where it has no such file."""
    try:
        first = _CPU_FILE.read_text("utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
