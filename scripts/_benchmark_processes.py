"""Whole processes: how long one takes from its start to its end, and how much memory it needs at most. Linux and macOS.

Each answers one picture with its heatmap and writes both, so that what is measured is the time to a first answer. The
system counts the memory of whoever starts a process as that process's own, so that a small one stands between:
`_benchmark_processes.py FILE COMMAND ...` runs a command and writes {"seconds", "memory"} as JSON into a file.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent
_UNIT = 1 if sys.platform == "darwin" else 1 << 10


@dataclass(frozen=True)
class Spent:
    """What a process took: seconds on the clock, the most bytes it held, and what it printed."""

    seconds: float
    memory: int
    printed: str


def spend(command: Sequence[str], *, told: str = "") -> Spent:
    """Runs a command to its end; raises RuntimeError, with what it said, where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "spent.json"
        between = [sys.executable, str(Path(__file__)), str(report), *command]
        done = subprocess.run(between, input=told, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:3])} ... ended with {done.returncode}: {done.stderr}")
        return Spent(**json.loads(report.read_text("utf-8")), printed=done.stdout)


def ours(model: Path, runtime: str, pictures: Sequence[Path], folder: Path) -> list[str]:
    """Returns the command by which predict.py answers pictures, with heatmaps, into an empty folder."""
    places = [str(folder / name) for name in ("answers.csv", "heatmaps")]
    command = [sys.executable, str(SCRIPTS / "predict.py"), *map(str, pictures), "--model", str(model)]
    return [*command, "--runtime", runtime, "--device", "cpu", "--out", places[0], "--heatmaps", places[1]]


def naive(model: Path, folder: Path) -> list[str]:
    """Returns the command by which the plain script does the same; it reads the pictures' names."""
    return [sys.executable, str(SCRIPTS / "_benchmark_naive.py"), str(model), str(folder)]


def starts(
    model: Path,
    runtimes: Sequence[str],
    picture: Path,
    rounds: int,
    *,
    plain: bool = True,
    most_seconds: float = math.inf,
) -> tuple[Spent | None, Mapping[str, Spent]]:
    """Returns what the plain script and predict.py with each runtime take for one picture: the quickest of the rounds,
    in which they take turns, and of which none begins after `most_seconds`. What is compiled was compiled before.

    Args:
        plain: False where the plain script cannot draw a heatmap of this model; its place is then None.
    """
    best: dict[str, Spent] = {}
    began = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - began >= most_seconds:
            break
        for name in (*([""] if plain else []), *runtimes):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                if name:
                    found = spend(ours(model, name, [picture], folder))
                else:
                    found = spend(naive(model, folder), told=f"{picture}\n")
            if name not in best or found.seconds < best[name].seconds:
                best[name] = found
    return best.pop("", None), best


def main() -> int:
    report, *command = sys.argv[1:]
    started = time.perf_counter()
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    spent = {"seconds": seconds, "memory": usage.ru_maxrss * _UNIT}
    Path(report).write_text(json.dumps(spent), "utf-8")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
