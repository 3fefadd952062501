"""Work done ahead of who asks for it, in threads, with results in order. Knows no work of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Works on items in threads of its own, at most `ahead` of them before their results are asked for.

    Gives the results in order; what `work` raises is raised in its result's place. The threads end with the iterator,
    also where it is closed early.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="derm-ahead")
    try:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
