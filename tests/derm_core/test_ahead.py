"""Work ahead in threads: its order, its bound, its errors, and that no thread outlives it."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from derm_core.ahead import run_ahead


def test_results_come_in_the_order_of_the_items_whoever_is_done_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(30)
        if item == 1:
            second_done.set()
        return 10 * item

    assert list(run_ahead(work, range(5), workers=2, ahead=4)) == [0, 10, 20, 30, 40]


def test_no_more_items_are_taken_than_may_wait() -> None:
    taken: list[int] = []

    def items() -> object:
        for item in range(100):
            taken.append(item)
            yield item

    with closing(run_ahead(str, items(), workers=2, ahead=3)) as results:  # type: ignore[arg-type]
        assert next(results) == "0"
        assert len(taken) == 4


def test_an_error_stands_in_its_result_s_place() -> None:
    results = run_ahead(lambda item: 6 // item, [3, 2, 0, 1], workers=2, ahead=4)
    assert next(results) == 2
    assert next(results) == 3
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_threads_end_where_the_iterator_is_closed_early() -> None:
    before = threading.active_count()
    with closing(run_ahead(str, range(100), workers=3, ahead=6)) as results:
        next(results)
        assert threading.active_count() > before
    assert threading.active_count() == before
