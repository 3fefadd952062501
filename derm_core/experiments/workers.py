"""Several processes that do the same work side by side, and end with the one that started them. Knows no search."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from typing import Any

from derm_core.errors import DermError

_SECONDS_TO_END = 5.0


def run_workers(count: int, work: Callable[..., object], arguments: Sequence[Any]) -> list[int]:
    """Calls `work(*arguments)` in `count` new processes and waits for all of them.

    Each gets its share of the cores, unless OMP_NUM_THREADS says how many. A worker that fails or is killed does not
    stop the others.

    Args:
        count: how many processes.
        work: a function of a module; it and the arguments are pickled.
        arguments: the same for each.

    Returns:
        The exit statuses of those that did not finish, negative for a signal; empty where all did.

    Raises:
        DermError: what the first worker raised that raised one.
    """
    # spawn: a fork of a process that runs torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    refused: SimpleQueue[DermError] = context.SimpleQueue()
    threads = max(1, (os.cpu_count() or 1) // count)
    workers = [context.Process(target=_begin, args=(refused, threads, work, arguments)) for _ in range(count)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        # Those that were interrupted with this process clear up by themselves.
        for worker in workers:
            if worker.pid is not None:
                worker.join(_SECONDS_TO_END)
        raise
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
    if not refused.empty():
        raise refused.get()
    return [worker.exitcode for worker in workers if worker.exitcode]


def _begin(
    refused: SimpleQueue[DermError], threads: int, work: Callable[..., object], arguments: Sequence[Any]
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(threads)
    try:
        work(*arguments)
    except DermError as err:
        refused.put(err)
    except KeyboardInterrupt:
        # The process that was interrupted with this one says so. What multiprocessing made is cleared up on this way.
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """Ends this process as a kill would when the one that started it is gone, which may have had no time to say so."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
