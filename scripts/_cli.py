"""What every command line here shares: exit statuses, one-line errors and progress. Knows no command."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TextIO, TypeVar

try:
    from derm_core.errors import DermError
except ModuleNotFoundError as error:
    if error.name != "derm_core":
        raise
    # Every command imports this module first, so that nobody is shown a traceback for a forgotten environment.
    print(
        f"error: {sys.executable} is not the Python that Dermatrace is installed in: run scripts/setup once, then "
        "'. .venv/bin/activate' in this shell.",
        file=sys.stderr,
    )
    raise SystemExit(2) from None

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DONE, FAILED, WRONG_INPUT = 0, 1, 2
_LEAST_RATE = 0.1
"""A second; below it is told how long each takes."""
_SECONDS_BETWEEN_LINES = 10.0


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line on stderr, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"error: {_one_line(message)} (see {self.prog} --help)\n")


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Runs a command and ends the process with its status.

    0 where `main` returns None or 0; 2 with one line on stderr where it raises a DermError or a file may not be opened
    (argparse exits with 2 by itself); 1 with a traceback for any other exception, and 1 without one where the user
    interrupts it, the reader of its output has gone away, or the disk is full.
    """
    # NumPy's products are small here: shared between threads they took up to ten times as long, waiting included. It
    # reads this when it is imported, which the commands do in `main`.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        with _plain_warnings():
            status = main() or DONE
        sys.stdout.flush()
    except DermError as err:
        print(f"error: {_one_line(str(err))}", file=sys.stderr)
        status = WRONG_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = FAILED
    except BrokenPipeError:
        # Python flushes stdout once more as it ends: give it a place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = FAILED
    except Exception as err:
        status, sentence = _refused_by_the_disk(err)
        if sentence:
            print(f"error: {_one_line(sentence)}", file=sys.stderr)
        else:
            traceback.print_exc()
    raise SystemExit(status)


def _refused_by_the_disk(err: Exception) -> tuple[int, str]:
    """Returns the status, and what to do where no code is at fault but a full disk or missing permissions."""
    number = err.errno if isinstance(err, OSError) else None
    if isinstance(err, OSError) and number in (errno.ENOSPC, errno.EDQUOT):
        return FAILED, (
            f"The disk is full ({err.strerror}): the rest could not be written. Make room, and run the command again, "
            "with --resume where it has that."
        )
    if isinstance(err, OSError) and number in (errno.EACCES, errno.EPERM, errno.EROFS) and err.filename:
        path = Path(os.fsdecode(err.filename))
        # What is to appear whole is written under a hidden name beside its place, which tells nobody anything.
        named = path.parent if path.name.startswith(".") else path
        return WRONG_INPUT, (
            f"{named} may not be opened or written ({err.strerror}). Change its permissions, or name another place."
        )
    return FAILED, ""


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Shows what derm_core warns of in one line, as it shows errors; other warnings are for programmers, and stay."""
    usual = warnings.formatwarning

    def plain(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> str:
        if category is UserWarning:
            return f"warning: {_one_line(str(message))}\n"
        return usual(message, category, *where, **more)

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = usual


class Progress(Protocol[T_co]):
    """What `progress` returns: iterate over it, and tell it what to show beside the count."""

    def __iter__(self) -> Iterator[T_co]: ...

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Shows `s` (loss, metric, ...) at the end of the bar or of the next line."""

    def update(self, n: int = 1) -> object:
        """Counts `n` more, where there is nothing to iterate over."""

    def close(self) -> None:
        """Ends the bar, or prints the last line."""


def progress(
    iterable: Iterable[T] | None = None,
    total: int | None = None,
    description: str = "",
    *,
    unit: str = "images",
    initial: int = 0,
    passed_seconds: float = 0.0,
) -> Progress[T]:
    """Shows how far a loop is, on stderr: a bar on a terminal, otherwise a plain line about every ten seconds.

    Args:
        iterable: what to loop over; None where `update` counts instead.
        total: how many there will be; taken from `len(iterable)` where that is known.
        description: stands in front of the count, such as "epoch 3/30".
        unit: what is counted, in the plural; the rate is shown in it.
        initial: how many were done before, in a loop that is continued.
        passed_seconds: how long it has been going on, where it is shown only now; the rate is over these, too.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = initial + len(iterable)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(
            iterable,
            desc=description or None,
            total=total,
            unit=f" {unit}",
            initial=initial,
            dynamic_ncols=True,
        )
        bar.start_t -= passed_seconds
        bar.last_print_t -= passed_seconds
        return bar
    return PlainLines(iterable, total, description, unit=unit, initial=initial, passed_seconds=passed_seconds)


class PlainLines(Iterable[T]):
    """Progress for a log: whole lines, the last one when the loop ends."""

    def __init__(
        self,
        iterable: Iterable[T] | None = None,
        total: int | None = None,
        description: str = "",
        *,
        unit: str = "images",
        initial: int = 0,
        passed_seconds: float = 0.0,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._iterable: Iterable[T] = () if iterable is None else iterable
        self._total, self._description, self._unit = total, description, unit
        self._done = self._initial = initial
        self._file, self._clock = file, clock
        self._last_line = clock()
        self._started = self._last_line - passed_seconds
        self._postfix = ""
        self._closed = False

    def __iter__(self) -> Iterator[T]:
        try:
            for item in self._iterable:
                yield item
                self.update()
        finally:
            self.close()

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        self._postfix = s

    def update(self, n: int = 1) -> None:
        self._done += n
        # The line of the last one is close's.
        if self._done != self._total and self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._print_line()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = self._clock()
        print(self._line(), file=self._file or sys.stderr, flush=True)

    def _line(self) -> str:
        elapsed = max(self._clock() - self._started, 1e-9)
        rate = (self._done - self._initial) / elapsed
        parts = [f"{self._done}/{self._total} {self._unit}" if self._total else f"{self._done} {self._unit}"]
        if self._total:
            parts[0] += f" ({100 * self._done / self._total:.0f}%)"
        is_slow = 0 < rate < _LEAST_RATE
        parts.append(f"{1 / rate:.0f} s each" if is_slow else f"{rate:.1f} {self._unit}/s")
        if self._total and rate > 0 and self._done < self._total:
            parts.append(f"{_minutes((self._total - self._done) / rate)} left")
        else:
            parts.append(f"took {_minutes(elapsed)}")
        if self._postfix:
            parts.append(self._postfix)
        return (f"{self._description}: " if self._description else "") + ", ".join(parts)


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _one_line(message: str) -> str:
    return " ".join(message.split())
