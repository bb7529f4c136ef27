"""Lines of indicators that are taken from another run are what this run would have worked out, to the last bit."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.fast.shelf import Shelf
from btkite.feed import KiteData
from tests.fast.test_indicators import _NEEDS_MORE, KINDS
from tests.parity.test_equality import generated

CANDLES = generated("NSE:X", 3, count=260)
OTHERS = generated("NSE:X", 4, count=260)
ALIASES = {name for kind in KINDS.values() for name in (one if isinstance(one, str) else one[0] for one in kind.alias)}
"""Other names of the same; the class that has the name is a subclass without anything of its own."""


def lines(make: Any, shelf: Shelf | None, candles: Any = CANDLES, after: Any = None) -> Any:
    """All lines of what ``make`` makes of a strategy, and what ``next()`` sees of them."""

    class Uses(bt.Strategy):
        def __init__(self) -> None:
            found = make(self)
            self.used = list(found) if isinstance(found, (list, tuple)) else [found]
            self.seen: list[float] = []

        def next(self) -> None:
            self.seen += [line[0] for one in self.used for line in _lines(one)]

    cerebro = Cerebro(stdstats=False)
    cerebro.shelf = shelf
    cerebro.adddata(KiteData(dataname=candles))
    cerebro.addstrategy(Uses)
    (ran,) = cerebro.run()
    if cerebro.engine != "fast":
        pytest.skip(f"backtrader's loop: {cerebro.why_stock}")
    more = after(ran) if after is not None else None
    return [repr(line.array) for one in ran.used for line in _lines(one)], repr(ran.seen), more


def _lines(one: Any) -> list[Any]:
    return [one] if isinstance(one, bt.linebuffer.LineBuffer) else list(one.lines.lines)


@pytest.mark.parametrize(
    ("name", "kind"), [pair for pair in sorted(KINDS.items()) if pair[0] not in _NEEDS_MORE | ALIASES]
)
def test_an_indicator_from_the_shelf_is_the_one_that_is_worked_out(name: str, kind: Any) -> None:
    def make(strategy: Any, **params: Any) -> Any:
        wants = kind._mindatas
        return kind(*([strategy.data, strategy.data.open][:wants] if wants > 1 else [strategy.data]), **params)

    def other(strategy: Any) -> Any:
        return make(strategy, period=7)

    shelf = Shelf()
    try:
        wanted = lines(make, None)
    except Exception as error:
        with pytest.raises(type(error)):
            lines(make, shelf)
        return
    assert lines(make, shelf) == wanted
    if "period" in kind.params._getkeys():
        assert lines(other, shelf) == lines(other, None)
    assert lines(make, shelf, OTHERS) == lines(make, None, OTHERS)
    assert lines(make, shelf) == wanted


def mixed(strategy: Any, fast: int = 5, limit: float = 0.5) -> Any:
    data = strategy.data
    quick, slow = bt.ind.EMA(data, period=fast), bt.ind.SMA(data.close, period=20)
    return [
        quick, slow, bt.ind.CrossOver(quick, slow), bt.And(quick > slow, quick(-1) <= slow(-1)),
        (data.high - data.low) / 2.0 > limit, bt.Max(quick, slow, data.open), bt.ind.RSI(quick, period=9),
        bt.ind.MACDHisto(data, period_me1=fast), bt.If(quick > slow, limit, data.low), bt.ind.ATR(data),
    ]  # fmt: skip


def test_a_second_set_finds_what_it_has_in_common_with_the_first() -> None:
    shelf = Shelf()
    lines(mixed, shelf)
    assert shelf.hits <= 1
    before = shelf.hits
    assert lines(lambda strategy: mixed(strategy, 7, 0.7), shelf) == lines(lambda s: mixed(s, 7, 0.7), None)
    some = shelf.hits - before
    assert lines(mixed, shelf) == lines(mixed, None)
    assert 2 <= some < shelf.hits - before - some


def test_whoever_looks_into_one_from_the_shelf_sees_its_lines() -> None:
    def inner(ran: Any) -> Any:
        return [repr(line.array) for line in _inner(ran.used[2])]

    shelf = Shelf()
    wanted = lines(mixed, None, after=inner)
    assert wanted[2]
    assert lines(mixed, shelf, after=inner) == wanted
    assert lines(mixed, shelf, after=inner) == wanted
    assert shelf.hits


def _inner(part: Any) -> list[Any]:
    from btkite.fast.hidden import inner_parts, own_lines

    return [line for one in inner_parts(part) for line in own_lines(one)]


def test_what_is_not_backtraders_own_is_never_taken_from_it() -> None:
    state = {"add": 1.0}

    class Mine(bt.Indicator):
        lines = ("mine",)

        def once(self, start: int, end: int) -> None:
            for at in range(start, end):
                self.lines.mine.array[at] = self.data.array[at] + state["add"]

        def next(self) -> None:
            self.lines.mine[0] = self.data[0] + state["add"]

    def make(strategy: Any) -> Any:
        mine = Mine(strategy.data)
        return [mine, bt.ind.SMA(mine, period=4)]

    shelf = Shelf()
    first = lines(make, shelf)
    state["add"] = 2.0
    second = lines(make, shelf)
    assert second == lines(make, None) != first
    state["add"] = 1.0
    assert lines(make, shelf) == first
    assert shelf.hits == 1, "the average of the same numbers, and no more"


def test_what_was_changed_by_hand_is_another_one() -> None:
    def plain(strategy: Any) -> Any:
        return bt.ind.EMA(strategy.data, period=9)

    def changed(strategy: Any) -> Any:
        found = bt.ind.EMA(strategy.data, period=9)
        for child in found._lineiterators[0]:
            if hasattr(child, "alpha"):
                child.alpha, child.alpha1 = 0.5, 0.5
        return found

    shelf = Shelf()
    assert lines(plain, shelf) == lines(plain, None)
    assert lines(changed, shelf) == lines(changed, None) != lines(plain, None)
    assert lines(plain, shelf) == lines(plain, None)
    assert shelf.hits == 1


def test_what_a_strategy_does_to_a_line_stays_its_own() -> None:
    def spoil(ran: Any) -> None:
        for line in _lines(ran.used[0]):
            line.array[100] = -1.0

    def make(strategy: Any) -> Any:
        return bt.ind.SMA(strategy.data, period=5)

    shelf = Shelf()
    wanted = lines(make, None)
    lines(make, shelf, after=spoil)
    assert lines(make, shelf, after=lambda ran: spoil(ran) and None)[1] == wanted[1]
    assert lines(make, shelf) == wanted


def test_it_has_room_for_so_much_and_no_more() -> None:
    shelf = Shelf(room=260 * 8 * 3)
    for period in (5, 6, 7, 8, 5):
        lines(lambda strategy, period=period: bt.ind.SMA(strategy.data, period=period), shelf)
    assert shelf.hits == 0
    assert len(shelf._kept) == 3
    lines(lambda strategy: bt.ind.SMA(strategy.data, period=8), shelf)
    assert shelf.hits == 1
