"""What people do to a run in its middle: the fast loop goes on as backtrader's would, or hands over to it."""

from __future__ import annotations

import copy

import backtrader as bt
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError
from btkite.feed import KiteData
from tests.parity.test_equality import LATE, ONE, THREE, Everything

from .pairs import ALL_ANALYZERS, Case, Counter, Quiet, by_stock, by_us


def seen(strategy, *, engine, series=ONE, analyzers=(), **params):
    cerebro = Cerebro(quicknotify=False, **({"engine": engine} if engine else {}), **params)
    cerebro.setbroker(SimBroker(rule="backtrader", config=Config()))
    for key, candles in series.items():
        cerebro.adddata(KiteData(dataname=candles), name=key)
    for name in analyzers:
        cerebro.addanalyzer(getattr(bt.analyzers, name))
    cerebro.addstrategy(strategy)
    (ran,) = cerebro.run()
    return cerebro, ran


class Doing(Everything):
    """Does something at bar 31, in ``deed``."""

    def next(self) -> None:
        super().next()
        if len(self) == 31:
            self.deed()

    def deed(self) -> None:
        """Nothing yet."""


class Rewinds(Doing):
    def deed(self) -> None:
        self.data.rewind()


class MakesALine(Doing):
    def deed(self) -> None:
        self.late = self.data.close(-1)


class LooksInside(Doing):
    def deed(self) -> None:
        inner = self.cross._lineiterators[self.IndType][0]
        self.seen.append(("inside", inner.lines[0].array.tolist(), len(inner), len(self.cross), len(self.data)))


@pytest.mark.parametrize("strategy", [Rewinds, MakesALine, LooksInside])
def test_a_line_moved_or_made_by_hand_ends_the_fast_loop_and_nothing_else(strategy):
    case = Case(THREE, "backtrader", (strategy,), analyzers=("DrawDown", "TimeReturn", Counter))
    auto, stock = by_us(case, "auto", ran="stock"), by_stock(case)
    assert {name: auto[name] for name in stock} == stock


class SetsCash(Doing):
    def deed(self) -> None:
        self.broker.set_cash(123_456.0)


class AddsCash(Doing):
    def deed(self) -> None:
        self.broker.add_cash(1000.0)
        self.seen.append(("money", self.broker.getvalue(), self.broker.getcash()))


class Recommissions(Doing):
    def deed(self) -> None:
        self.broker.setcommission(commission=2.0, margin=900.0, mult=3.0)


class Reprices(Doing):
    """Writes another price into a resting order, as people do."""

    def deed(self) -> None:
        self.resting = self.buy(exectype=bt.Order.Limit, price=self.data.close[0] * 0.5)

    def next(self) -> None:
        super().next()
        if len(self) == 40:
            self.resting.created.price = self.data.close[0] * 1.01


class Prolongs(bt.Strategy):
    """Gives a resting order another end, then another one another kind."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def notify_order(self, order) -> None:
        self.seen.append((len(self), order.status))

    def next(self) -> None:
        far = self.data.close[0] * 0.5
        if len(self) in (10, 30):
            self.resting = self.buy(exectype=bt.Order.Limit, price=far)
        if len(self) == 20:
            self.resting.valid = self.data.datetime[0]
        if len(self) == 40:
            self.resting.exectype = bt.Order.Market


class WritesAPosition(Doing):
    def deed(self) -> None:
        self.broker.positions[self.data].set(7, self.data.close[0])


class WritesASize(Doing):
    def deed(self) -> None:
        self.position.size += 3


class ShortsForNothing(Doing):
    def deed(self) -> None:
        self.broker.set_shortcash(False)


@pytest.mark.parametrize(
    "strategy",
    [SetsCash, AddsCash, Recommissions, Reprices, Prolongs, WritesAPosition, WritesASize, ShortsForNothing],
)
def test_money_and_orders_changed_by_hand_are_equal(strategy):
    for kind in (strategy, type("Silent", (strategy,), {"note_bar": lambda self, kind: None})):
        case = Case(THREE, "backtrader", (kind,), analyzers=ALL_ANALYZERS)
        assert by_us(case, "fast") == by_stock(case)


class Turns(bt.Strategy):
    """A machine of states: what ``next`` is changes as it goes."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def next(self) -> None:
        if len(self) % 10 == 3:
            self.next = self.out

    def out(self) -> None:
        self.seen.append(len(self))
        if len(self) % 10 == 7:
            del self.next


class Assigns(bt.Strategy):
    """Hears of money by what it has set on itself."""

    def start(self) -> None:
        self.seen: list[object] = []
        self.notify_cashvalue = lambda cash, value: self.seen.append((len(self), cash, value))
        self.notify_fund = lambda *money: self.seen.append((len(self), *money))


@pytest.mark.parametrize("strategy", [Turns, Assigns])
def test_methods_that_a_strategy_sets_on_itself_are_called(strategy):
    case = Case(ONE, "backtrader", (strategy,))
    fast = by_us(case, "fast")
    assert len(fast["strategy 0 saw"]) > 20
    assert fast == by_stock(case)


class Inherits(Quiet):
    def start(self) -> None:
        super().start()
        self.broker.positions[self.data].set(5, 100.0)


def test_a_position_that_is_there_before_the_first_bar_takes_backtraders_loop():
    case = Case(THREE, "backtrader", (Inherits,), analyzers=("DrawDown",))
    stock = by_stock(case)
    auto = by_us(case, "auto", ran="stock")
    assert {name: auto[name] for name in stock} == stock


@pytest.mark.parametrize(
    "line",
    [
        lambda one, two: one - two,
        lambda one, two: one / two,
        bt.Max,
        bt.And,
        bt.Cmp,
        bt.DivByZero,
        lambda one, two: bt.If(one, one, two),
    ],
)
def test_a_line_of_a_feed_with_fewer_bars_does_as_backtraders(line):
    class Mixes(Quiet):
        def __init__(self) -> None:
            super().__init__()
            self.mixed = line(self.data0.close, self.data1.close)

    found = []
    for run in (lambda case: by_us(case, "fast"), by_stock):
        try:
            found.append(run(Case(LATE, "backtrader", (Mixes,))))
        except IndexError as error:
            found.append(str(error))
    assert found[0] == found[1]


class Stops(Doing):
    def deed(self) -> None:
        self.env.runstop()


def test_a_run_that_is_stopped_is_equal():
    case = Case(THREE, "backtrader", (Stops,), analyzers=("DrawDown", "TimeReturn", "Returns", Counter))
    assert by_us(case, "fast") == by_stock(case)


class Breaks(Doing):
    def deed(self) -> None:
        raise RuntimeError("mine")


def test_after_an_error_everything_is_of_its_own_class():
    made = []

    class Kept(Breaks):
        def start(self) -> None:
            made.append(self)

    with pytest.raises(RuntimeError, match="mine"):
        seen(Kept, engine="fast", analyzers=("DrawDown", "TradeAnalyzer"))
    (strategy,) = made
    things = [strategy, strategy.broker, strategy.data, strategy.data.lines.close, strategy.cross, *strategy.analyzers]
    things += [line for observer in strategy.observers if not isinstance(observer, list) for line in observer.lines]
    assert not [type(thing) for thing in things if "swapped" in type(thing).__dict__]
    assert strategy.analyzers.drawdown.get_analysis().len >= 0
    assert len(strategy) == len(strategy.data) == 31


def test_lines_within_indicators_are_there_when_someone_looks():
    _, fast = seen(Everything, engine="fast")
    _, stock = seen(Everything, engine="stock")

    def inner(part):
        for child in getattr(part, "_lineiterators", {}).get(0, ()):
            yield child
            yield from inner(child)

    def lines(strategy):
        parts = [part for top in strategy._lineiterators[0] for part in (top, *inner(top))]
        return [line for part in parts for line in (part.lines.lines if hasattr(part.lines, "lines") else [part])]

    mine, theirs = lines(fast), lines(stock)
    assert sum("array" not in line.__dict__ for line in mine) > 20  # they had been let go
    assert repr(copy.copy(mine[-2]).array) == repr(mine[-2].array)
    assert [repr(line.array) for line in mine] == [repr(line.array) for line in theirs]
    assert [(line.idx, len(line)) for line in mine] == [(line.idx, len(line)) for line in theirs]


def test_a_stock_cerebro_beside_it_and_after_it_is_as_before():
    before = by_stock(Case(LATE, strategies=(Quiet,)))
    classes = [one for cls in (bt.Strategy, bt.LineBuffer, bt.brokers.BackBroker, bt.Order) for one in cls.__mro__]
    names = {cls: dict(vars(cls)) for cls in (*classes, bt.Cerebro, bt.analyzers.DrawDown, bt.observers.Broker)}
    by_us(Case(LATE, strategies=(Everything,)), "fast")
    assert by_stock(Case(LATE, strategies=(Quiet,))) == before
    assert names == {cls: dict(vars(cls)) for cls in names}


class OwnBroker(bt.brokers.BackBroker):
    """Of someone's own."""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda cerebro: cerebro.setbroker(OwnBroker()), "OwnBroker is not one of the brokers"),
        (lambda cerebro: setattr(cerebro.p, "runonce", False), "one by one"),
        (lambda cerebro: setattr(cerebro.p, "exactbars", 1), "one by one"),
        (lambda cerebro: setattr(cerebro.p, "oldsync", True), "oldsync"),
        (lambda cerebro: cerebro.add_order_history([("2026-11-18T10:00:00", 1, 1000.0)]), "history"),
    ],
)
def test_what_is_not_proven_equal_takes_backtraders_loop_and_says_why(change, reason):
    def cerebro_of(engine):
        cerebro = Cerebro(engine=engine)
        cerebro.setbroker(bt.brokers.BackBroker())
        cerebro.adddata(KiteData(dataname=ONE["NSE:AAA"]))
        cerebro.addstrategy(bt.Strategy)
        change(cerebro)
        return cerebro

    auto = cerebro_of("auto")
    auto.run()
    assert auto.engine == "stock"
    assert reason in auto.why_stock
    with pytest.raises(ConfigError, match=reason):
        cerebro_of("fast").run()


def test_what_is_kept_on_the_class_is_kept_on_the_strategys_own():
    class Counts(bt.Strategy):
        seen = 0

        def next(self):
            type(self).seen += 1
            self.__class__.last = len(self)

    cerebro, ran = seen(Counts, engine="fast")
    assert (cerebro.engine, Counts.seen, Counts.last) == ("fast", len(ran), len(ran))
