"""By which prices the exits may go."""

from __future__ import annotations

from typing import Any

from btkite.brokers.sight import Sight


def test_a_quote_that_was_asked_for_before_a_tick_came_is_no_news() -> None:
    asks_nobody: Any = None
    sight = Sight(asks_nobody)
    sight.take("NSE:A", 100.0, 10)
    assert sight.take_quotes({"NSE:A": 90.0}, 9) == []
    assert sight.last("NSE:A") == 100.0
    assert sight.take_quotes({"NSE:A": 90.0}, 11) == ["NSE:A"]
    assert sight.last("NSE:A") == 90.0
