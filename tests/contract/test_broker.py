"""One contract for every broker: what backtrader's users rely on holds on history, on paper and live.

``house`` runs a strategy on one kind of broker. Live and paper trade on the simulated exchange, over the wire,
in lock step; there the exchange's own book is the judge.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.risk.gate import RiskGate
from btkite.risk.ledger import Ledger
from btkite.risk.rules import build_rules
from btkite.testing import KiteExchange, Outcome, run_strategy

Order = bt.Order


@dataclass(frozen=True)
class House:
    """One kind of broker and how to run a strategy on it."""

    name: str
    run: Callable[..., Outcome]
    exchange: KiteExchange | None = None

    @property
    def stock(self) -> bool:
        """Whether the engine is backtrader's own Cerebro."""
        return "bt.Cerebro" in self.name

    @property
    def live(self) -> bool:
        return self.name.startswith("live")

    def orders(self) -> list[dict[str, Any]]:
        """The exchange's own book; only live has one."""
        assert self.exchange is not None
        return self.exchange.orders()


HOUSES = (
    "path",
    "path on bt.Cerebro",
    "backtrader",
    "backtrader on bt.Cerebro",
    "paper",
    "paper on bt.Cerebro",
    "live",
    "live on bt.Cerebro",
)


@pytest.fixture(params=HOUSES)
def house(request: pytest.FixtureRequest) -> House:
    kind, _, engine = request.param.partition(" on ")
    if kind in ("paper", "live"):
        exchange: KiteExchange = request.getfixturevalue("kite_exchange")

        def trade(*args: Any, cerebro: Any = None, **kwargs: Any) -> Outcome:
            made = cerebro if cerebro is not None else (bt.Cerebro if engine else Cerebro)(stdstats=False)
            return exchange.run_strategy(*args, mode=kind, cerebro=made, **kwargs)

        return House(request.param, trade, exchange)

    def run(*args: Any, cerebro: Any = None, **kwargs: Any) -> Outcome:
        made = cerebro if cerebro is not None else (bt.Cerebro if engine else Cerebro)(stdstats=False)
        return run_strategy(*args, rule=kind, cerebro=made, **kwargs)

    return House(request.param, run)


ours = pytest.mark.parametrize("house", [name for name in HOUSES if not name.startswith("backtrader")], indirect=True)
"""Of a test of what BackBroker does otherwise; the reason is on the line."""

unless_live = pytest.mark.parametrize("house", [name for name in HOUSES if not name.startswith("live")], indirect=True)


class Noted(bt.Strategy):
    """Keeps every notification; ``plan`` maps bar numbers to what to do then."""

    params = (("plan", {}),)

    def __init__(self) -> None:
        self.notified: list[tuple[int, str]] = []
        self.fills: list[tuple[int, float, float]] = []
        self.trades: list[Any] = []
        self.returned: list[Any] = []
        self.infos: dict[int, Any] = {}

    def next(self) -> None:
        action = self.p.plan.get(len(self))
        if action is not None:
            found = action(self)
            self.returned += found if isinstance(found, list) else [found]

    def notify_order(self, order: Any) -> None:
        self.notified.append((order.ref, order.getstatusname()))
        self.infos[order.ref] = order.info
        self.fills += [(order.ref, bit.size, bit.price) for bit in order.executed.iterpending()]

    def notify_trade(self, trade: Any) -> None:
        self.trades.append((trade.status, trade.size, trade.price, trade.pnl, trade.justopened, trade.isclosed))

    def story(self, number: int = 0) -> list[str]:
        """The statuses of the ``number``-th order that a call returned."""
        ref = self.returned[number].ref
        return [status for known, status in self.notified if known == ref]


STEPS = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0]
"""Closes; each bar opens at the close before it, so an order of bar n meets STEPS[n - 1]."""

DONE = ["Submitted", "Accepted", "Completed"]


# ---- orders ----


def test_buy_sell_and_close_trade_at_the_next_price(house):
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.sell(size=2), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert [ran.story(n) for n in range(3)] == [DONE] * 3
    assert [(size, price) for _, size, price in ran.fills] == [(5, 101.0), (-2, 103.0), (-3, 105.0)]
    assert ran.position.size == 0


def test_an_order_is_an_order_and_knows_its_end(house):
    seen = []
    plan = {2: lambda s: s.buy(size=5), 5: lambda s: seen.append(s.returned[0].status) or s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    order = ran.returned[0]
    assert isinstance(order, Order)
    assert order.status == Order.Completed
    assert not order.alive()
    assert seen == [Order.Completed]
    assert ran.broker.orderstatus(order) == Order.Completed


def test_a_short_trade_gains_when_the_price_falls(house):
    falls = [110.0, 109.0, 108.0, 107.0, 106.0, 105.0]
    outcome = house.run(Noted, falls, plan={1: lambda s: s.sell(size=10), 4: lambda s: s.close()})
    assert [(trade.side, trade.pnl) for trade in outcome.trades] == [("SHORT", 30.0)]
    assert outcome.final_value == 100_030.0


def test_trades_are_told_when_they_open_and_when_they_close(house):
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.buy(size=5), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    opened, *_between, closed = ran.trades
    assert opened[-2:] == (True, False)
    assert opened[1:3] == (5, 101.0)
    assert closed[-2:] == (False, True)
    assert closed[3] == 5 * (105 - 101) + 5 * (105 - 103)


def test_a_reversal_closes_one_trade_and_opens_another(house):
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.sell(size=8), 7: lambda s: s.close()}
    outcome = house.run(Noted, STEPS, plan=plan)
    assert [(trade.side, trade.size, trade.pnl) for trade in outcome.trades] == [("LONG", 5, 10.0), ("SHORT", 3, -9.0)]


def rows_between(low: float, high: float, close: float = 100.0) -> tuple[float, float, float, float]:
    return (100.0, high, low, close)


CALM = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("give", "bar", "price"),
    [
        (lambda s: s.buy(size=1, exectype=Order.Limit, price=98.0), rows_between(97.0, 101.0), 98.0),
        (lambda s: s.sell(size=1, exectype=Order.Limit, price=102.0), rows_between(99.0, 103.0), 102.0),
        (lambda s: s.buy(size=1, exectype=Order.Stop, price=102.0), rows_between(99.0, 103.0), 102.0),
        (lambda s: s.sell(size=1, exectype=Order.Stop, price=98.0), rows_between(97.0, 101.0), 98.0),
        (
            lambda s: s.buy(size=1, exectype=Order.StopLimit, price=102.0, plimit=104.0),
            rows_between(99.0, 103.0),
            102.0,
        ),
        (lambda s: s.sell(size=1, exectype=Order.StopLimit, price=98.0, plimit=96.0), rows_between(97.0, 101.0), 98.0),
    ],
    ids=["buy limit", "sell limit", "buy stop", "sell stop", "buy stop-limit", "sell stop-limit"],
)
def test_a_resting_order_trades_at_its_own_price_when_it_is_reached(house, give, bar, price):
    ran = house.run(Noted, [CALM, CALM, CALM, CALM, bar, CALM], plan={2: give}).strategy
    assert ran.story() == DONE
    assert [paid for _, _, paid in ran.fills] == [price]


def test_a_cancelled_order_does_not_trade(house):
    plan = {
        2: lambda s: s.buy(size=1, exectype=Order.Limit, price=98.0),
        4: lambda s: s.cancel(s.returned[0]) or s.returned[0],
    }
    ran = house.run(Noted, [CALM] * 5 + [rows_between(90.0, 110.0), CALM], plan=plan).strategy
    assert ran.story() == ["Submitted", "Accepted", "Canceled"]
    assert not ran.fills
    assert ran.position.size == 0
    if house.live:
        assert [order["status"] for order in house.orders()] == ["CANCELLED"]


def test_a_modified_order_keeps_its_ref_and_trades_at_its_new_price(house):
    plan = {
        2: lambda s: s.buy(size=3, exectype=Order.Limit, price=90.0),
        4: lambda s: s.broker.modify(s.returned[0], size=5, price=98.0),
    }
    ran = house.run(Noted, [CALM] * 6 + [rows_between(97.0, 101.0), CALM], plan=plan).strategy
    order, changed = ran.returned
    assert changed is True
    assert [(ref, size, price) for ref, size, price in ran.fills] == [(order.ref, 5, 98.0)]
    assert ran.position.size == 5
    if house.live:
        assert [(row["status"], row["quantity"], row["price"]) for row in house.orders()] == [("COMPLETE", 5, 98.0)]


def test_a_finished_order_cannot_be_modified(house):
    plan = {2: lambda s: s.buy(size=3), 4: lambda s: s.broker.modify(s.returned[0], price=98.0)}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.returned[1] is False


# ---- sizes by target ----


def test_targets_size_by_units_value_and_percent(house):
    sizes = []

    def look(s):
        sizes.append(s.position.size)

    plan = {
        2: lambda s: s.order_target_size(target=7),
        3: look,
        4: lambda s: s.order_target_value(target=1030.0),
        5: look,
        6: lambda s: s.order_target_percent(target=0.0105),
        7: look,
        8: lambda s: s.order_target_size(target=0),
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert sizes == [7, 10, 10]
    assert ran.position.size == 0


# ---- groups ----

UP = (100.0, 106.0, 99.5, 105.0)
DOWN = (100.0, 100.5, 94.0, 95.0)


@pytest.mark.parametrize(("bar", "exit_price", "ended"), [(UP, 105.0, 1), (DOWN, 95.0, 2)], ids=["target", "stop"])
def test_a_bracket_takes_one_exit_and_cancels_the_other(house, bar, exit_price, ended):
    plan = {2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=95.0, limitprice=105.0)}
    ran = house.run(Noted, [CALM] * 5 + [bar, CALM, CALM], plan=plan).strategy
    assert len(ran.returned) == 3
    assert ran.story(0) == DONE
    assert ran.story(ended)[-1] == "Canceled"
    assert [(size, price) for _, size, price in ran.fills] == [(4, 100.0), (-4, exit_price)]
    assert ran.position.size == 0
    if house.live:
        assert sorted(row["status"] for row in house.orders()) == ["CANCELLED", "COMPLETE", "COMPLETE"]


def test_a_bracket_whose_entry_is_cancelled_takes_its_exits_with_it(house):
    plan = {
        2: lambda s: s.buy_bracket(size=4, price=97.0, stopprice=95.0, limitprice=105.0),
        4: lambda s: s.cancel(s.returned[0]),
    }
    ran = house.run(Noted, [CALM] * 5 + [UP, DOWN, CALM], plan=plan).strategy
    assert [ran.story(n)[-1] for n in range(3)] == ["Canceled"] * 3
    assert not ran.fills


@pytest.mark.parametrize(
    ("without", "bar", "exit_price"),
    [({"limitexec": None}, DOWN, 95.0), ({"stopexec": None}, UP, 105.0)],
    ids=["stop only", "target only"],
)
def test_a_bracket_may_lack_one_side(house, without, bar, exit_price):
    plan = {2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=95.0, limitprice=105.0, **without)}
    ran = house.run(Noted, [CALM] * 5 + [bar, CALM], plan=plan).strategy
    assert sum(order is None for order in ran.returned) == 1
    assert [(size, price) for _, size, price in ran.fills] == [(4, 100.0), (-4, exit_price)]


def test_a_sell_bracket_is_the_mirror(house):
    plan = {2: lambda s: s.sell_bracket(size=4, exectype=Order.Market, stopprice=105.0, limitprice=95.0)}
    ran = house.run(Noted, [CALM] * 5 + [DOWN, CALM], plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(-4, 100.0), (4, 95.0)]


def test_of_an_oco_pair_only_one_trades(house):
    def pair(s):
        first = s.buy(size=2, exectype=Order.Limit, price=95.0)
        return [first, s.buy(size=2, exectype=Order.Stop, price=105.0, oco=first)]

    ran = house.run(Noted, [CALM] * 5 + [UP, CALM, DOWN, CALM], plan={2: pair}).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(2, 105.0)]
    assert ran.story(0)[-1] == "Canceled"
    assert ran.story(1)[-1] == "Completed"


# ---- validity ----


def ends_at_its_deadline(house, valid):
    plan = {2: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0, valid=valid)}
    ran = house.run(Noted, [CALM] * 6 + [DOWN, CALM], plan=plan).strategy
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert not ran.fills


@pytest.mark.parametrize(
    "valid", [datetime.timedelta(minutes=2), datetime.datetime(2026, 11, 18, 9, 19)], ids=["timedelta", "datetime"]
)
def test_an_order_ends_at_its_deadline(house, valid):
    ends_at_its_deadline(house, valid)


@ours  # backtrader itself takes a float as a date long past: the order never works
def test_a_deadline_may_be_given_in_days(house):
    ends_at_its_deadline(house, 2 / 1440)


def works_while_the_session_lasts(house, valid):
    plan = {2: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0, valid=valid)}
    ran = house.run(Noted, [CALM] * 6 + [DOWN, CALM], plan=plan).strategy
    assert ran.story() == DONE


@pytest.mark.parametrize("valid", [None, Order.DAY, 0], ids=["none", "DAY", "0"])
def test_an_order_of_the_day_works_while_the_session_lasts(house, valid):
    works_while_the_session_lasts(house, valid)


@ours  # backtrader itself takes a date as its midnight: the order ends at once
def test_a_date_means_the_end_of_its_session(house):
    works_while_the_session_lasts(house, datetime.date(2026, 11, 18))


# ---- the gate ----


@ours  # backtrader's own rule has no gate unless one is given
def test_a_denied_order_comes_back_rejected_and_says_why(house):
    plan = {2: lambda s: s.buy(size=200), 4: lambda s: s.buy(size=5)}
    outcome = house.run(Noted, STEPS, risk={"max_position_pct": 10}, plan=plan)
    ran = outcome.strategy
    assert ran.returned[0] is not None
    assert ran.returned[0].status == Order.Rejected
    assert ran.story(0) == ["Rejected"]
    assert "risk.max_position_pct" in ran.infos[ran.returned[0].ref].denied
    assert ran.story(1) == DONE
    assert [order.denied != "" for order in outcome.orders] == [True, False]
    if house.live:
        assert len(house.orders()) == 1


@ours  # backtrader's own rule has no gate unless one is given
def test_a_bracket_is_denied_as_one(house):
    plan = {2: lambda s: s.buy_bracket(size=200, exectype=Order.Market, stopprice=95.0, limitprice=115.0)}
    ran = house.run(Noted, STEPS, risk={"max_position_pct": 10}, plan=plan).strategy
    assert [ran.story(n) for n in range(3)] == [["Rejected"]] * 3
    assert all(ran.infos[order.ref].denied for order in ran.returned)
    if house.live:
        assert house.orders() == []


@pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
def test_backtraders_own_rule_takes_a_gate_too(engine):
    """One order, and a bracket as one: denied, notified, never None."""

    class Guarded(Noted):
        def start(self):
            rules = build_rules({"max_order_value": 1000.0})
            self.broker.gate = RiskGate(rules, Ledger(100_000.0))

    plan = {
        2: lambda s: s.buy(size=11),
        3: lambda s: s.buy_bracket(size=12, exectype=Order.Market, stopprice=95.0, limitprice=115.0),
        5: lambda s: s.buy(size=5),
    }
    ran = run_strategy(Guarded, STEPS, rule="backtrader", cerebro=engine(stdstats=False), plan=plan).strategy
    assert [ran.story(n) for n in range(5)] == [["Rejected"]] * 4 + [DONE]
    assert all("risk.max_order_value" in ran.infos[order.ref].denied for order in ran.returned[:4])


@ours  # backtrader's own rule has no gate unless one is given
def test_a_closing_order_passes_every_limit(house):
    plan = {2: lambda s: s.buy(size=50), 4: lambda s: s.buy(size=1), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, risk={"max_daily_trades": 1, "max_position_pct": 50}, plan=plan).strategy
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Rejected", "Completed"]
    assert ran.position.size == 0


# ---- money ----


def test_money_has_backtraders_names_and_moves_with_the_position(house):
    seen = []

    def look(s):
        broker = s.broker
        assert broker.getcash() == broker.get_cash()
        assert broker.getvalue() == broker.get_value()
        seen.append((broker.getvalue(), broker.getcash()))

    plan = {1: look, 2: lambda s: s.buy(size=10), 4: look, 6: lambda s: s.close(), 8: look}
    outcome = house.run(Noted, STEPS, plan=plan)
    broker = outcome.broker
    assert [value for value, _ in seen] == [100_000.0, 100_020.0, 100_040.0]
    assert [cash for _, cash in seen] == [100_000.0, pytest.approx(98_990.0, abs=20.0), 100_040.0]
    assert (broker.startingcash, broker.startingvalue) == (100_000.0, 100_000.0)
    assert broker.get_fundvalue() > 0
    assert broker.fundvalue > 0
    assert broker.get_fundshares() > 0
    assert broker.fundmode is False
    assert broker.getposition(outcome.strategy.data).size == 0
    assert broker.getcommissioninfo(outcome.strategy.data) is not None


def test_the_value_of_one_data_is_its_positions(house):
    seen = []
    plan = {2: lambda s: s.buy(size=10), 4: lambda s: seen.append(s.broker.getvalue([s.data]))}
    house.run(Noted, STEPS, plan=plan)
    assert seen == [1030.0]


def test_open_orders_can_be_asked_for(house):
    seen = []
    plan = {
        2: lambda s: s.buy(size=1, exectype=Order.Limit, price=90.0),
        4: lambda s: seen.extend(order.ref for order in s.broker.get_orders_open()) or s.cancel(s.returned[0]),
        6: lambda s: seen.append(len(s.broker.get_orders_open(safe=True))),
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert seen == [ran.returned[0].ref, 0]


# ---- several datas, several strategies ----


def test_orders_go_to_the_data_that_they_name(house):
    market = {"NSE:AAA": STEPS, "NSE:BBB": [price * 2 for price in STEPS]}
    plan = {2: lambda s: [s.buy(data=s.datas[1], size=2), s.buy(size=3)]}
    ran = house.run(Noted, market, plan=plan).strategy
    assert sorted((size, price) for _, size, price in ran.fills) == [(2, 202.0), (3, 101.0)]
    assert [ran.getposition(data).size for data in ran.datas] == [3, 2]
    if house.live:
        assert {row["tradingsymbol"]: row["quantity"] for row in house.exchange.positions()} == {"AAA": 3, "BBB": 2}


def an_engine(house: House) -> Any:
    return bt.Cerebro(stdstats=False) if house.stock else Cerebro(stdstats=False)


def test_each_of_several_strategies_hears_of_its_own_orders(house):
    engine = an_engine(house)
    engine.addstrategy(Noted, plan={3: lambda s: s.buy(size=2)})
    house.run(Noted, STEPS, cerebro=engine, plan={5: lambda s: s.buy(size=4)})
    one, other = engine.runstrats[0]
    assert [size for _, size, _ in one.fills] == [2]
    assert [size for _, size, _ in other.fills] == [4]
    assert one.position.size == other.position.size == 6


# ---- what backtrader builds on a broker ----


class Rising(bt.Indicator):
    """1 while the price rises, -1 while it falls."""

    lines = ("signal",)

    def __init__(self):
        self.lines.signal = bt.Cmp(self.data.close, self.data.close(-1))


HILL = [100.0, 100.0, 101.0, 102.0, 103.0, 104.0, 103.0, 102.0, 101.0, 100.0, 100.0, 100.0]


def test_a_signal_strategy_goes_long_and_short(house):
    class Signals(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONGSHORT, Rising(self.data))

    outcome = house.run(Signals, HILL)
    assert [(side, price) for _, _, side, _, price in outcome.fills] == [
        ("BUY", 101.0),
        ("SELL", 103.0),
        ("SELL", 103.0),
    ]
    assert [(trade.side, trade.pnl) for trade in outcome.trades] == [("LONG", 2.0)]
    assert outcome.strategy.position.size == -1


def test_signals_added_to_the_engine_trade(house):
    engine = an_engine(house)
    engine.add_signal(bt.SIGNAL_LONG, Rising)
    engine.signal_accumulate(False)
    outcome = house.run(None, HILL, cerebro=engine)
    assert [(trade.side, trade.pnl) for trade in outcome.trades] == [("LONG", 2.0)]
    assert outcome.strategy.position.size == 0
    assert outcome.final_value == 100_002.0


def test_a_timer_calls_the_strategy(house):
    class Timed(Noted):
        def __init__(self):
            super().__init__()
            self.called = []
            self.add_timer(when=datetime.time(9, 18))

        def notify_timer(self, timer, when, *args, **kwargs):
            self.called.append((when, self.data.datetime.time(0)))
            self.returned.append(self.buy(size=1))

    ran = house.run(Timed, STEPS).strategy
    assert ran.called == [(datetime.datetime(2026, 11, 18, 9, 18), datetime.time(9, 18))]
    assert [price for _, _, price in ran.fills] == [102.0]


class Halves(bt.Sizer):
    """Half of what can be bought."""

    def _getsizing(self, comminfo, cash, data, isbuy):
        return int(cash / data.close[0]) // 2


@pytest.mark.parametrize(
    ("sizer", "size"),
    [
        ((bt.sizers.FixedSize, {"stake": 3}), 3),
        ((bt.sizers.PercentSizerInt, {"percents": 10}), 99),
        (Halves, 495),
    ],
    ids=["fixed", "percent", "custom"],
)
def test_a_sizer_sizes_by_what_the_broker_says(house, sizer, size):
    ran = house.run(Noted, STEPS, sizer=sizer, plan={2: lambda s: s.buy()}).strategy
    assert [bought for _, bought, _ in ran.fills] == [size]


BUILT_IN = (
    bt.analyzers.AnnualReturn,
    bt.analyzers.Calmar,
    bt.analyzers.DrawDown,
    bt.analyzers.GrossLeverage,
    bt.analyzers.LogReturnsRolling,
    bt.analyzers.PeriodStats,
    bt.analyzers.PositionsValue,
    bt.analyzers.PyFolio,
    bt.analyzers.Returns,
    bt.analyzers.SQN,
    bt.analyzers.SharpeRatio,
    bt.analyzers.SharpeRatio_A,
    bt.analyzers.TimeDrawDown,
    bt.analyzers.TimeReturn,
    bt.analyzers.TradeAnalyzer,
    bt.analyzers.Transactions,
    bt.analyzers.VWR,
)


def test_backtraders_own_analyzers_see_the_run(house):
    plan = {2: lambda s: s.buy(size=5), 6: lambda s: s.close(), 8: lambda s: s.buy(size=2)}
    engine = an_engine(house)
    engine.addobserver(bt.observers.Broker)  # AnnualReturn reads it
    ran = house.run(Noted, STEPS, cerebro=engine, analyzers=BUILT_IN, plan=plan).strategy
    for kind in BUILT_IN:
        assert ran.analyzers.getbyname(kind.__name__.lower()).get_analysis() is not None, kind
    trades = ran.analyzers.tradeanalyzer.get_analysis()
    assert (trades.total.total, trades.total.open, trades.total.closed, trades.won.pnl.total) == (2, 1, 1, 20.0)
    done = [row[0][:2] for row in ran.analyzers.transactions.get_analysis().values()]
    assert done == [[5, 101.0], [-5, 105.0], [2, 107.0]]
    assert ran.analyzers.sqn.get_analysis().trades == 1
    returns, positions, transactions, leverage = ran.analyzers.pyfolio.get_pf_items()
    assert len(returns) == 1
    assert len(transactions) == 3
    assert returns.iloc[0] == pytest.approx(ran.broker.getvalue() / 100_000.0 - 1)
    assert not positions.empty
    assert not leverage.empty


OBSERVERS = (
    bt.observers.Broker,
    bt.observers.BuySell,
    bt.observers.Cash,
    bt.observers.DrawDown,
    bt.observers.FundShares,
    bt.observers.FundValue,
    bt.observers.LogReturns,
    bt.observers.TimeReturn,
    bt.observers.Trades,
    bt.observers.Value,
)


def test_observers_watch_the_run(house):
    engine = an_engine(house)
    for observer in OBSERVERS:
        engine.addobserver(observer)
    plan = {2: lambda s: s.buy(size=5), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, cerebro=engine, plan=plan).strategy
    found = {type(observer): observer for observer in ran.observers}
    assert set(found) == set(OBSERVERS)
    values = found[bt.observers.Value].array
    assert list(values)[: len(STEPS)] == [100_000.0] * 2 + [100_005.0 + 5 * n for n in range(3)] + [100_020.0] * 5
    assert 20.0 in list(found[bt.observers.Trades].lines.pnlplus.array)
    bought = [price for price in found[bt.observers.BuySell].lines.buy.array if price == price]
    assert len(bought) == 1


def test_a_writer_writes_the_run(house, tmp_path):
    engine = an_engine(house)
    page = tmp_path / "run.csv"
    engine.addwriter(bt.WriterFile, csv=True, out=str(page), rounding=2)
    engine.addobserver(bt.observers.Broker)
    house.run(Noted, STEPS, cerebro=engine, plan={2: lambda s: s.buy(size=5)})
    text = page.read_text()
    rows = [line.split(",") for line in text.splitlines() if line[:1].isdigit()]
    assert len(rows) == len(STEPS)
    assert [float(row[rows_of(text, "close")]) for row in rows] == STEPS
    assert "Noted" in text
    assert "Analyzers" in text


def rows_of(text: str, column: str) -> int:
    header = next(line for line in text.splitlines() if line.startswith("Id,"))
    return header.split(",").index(column)


# ---- Kite's own words, per order ----


@pytest.mark.parametrize(
    ("given", "in_the_book"),
    [
        ({"product": "CNC"}, {"product": "CNC", "variety": "regular"}),
        ({"validity": "IOC"}, {"validity": "IOC"}),
        ({"validity": "TTL", "validity_ttl": 5}, {"validity": "TTL", "validity_ttl": 5}),
        ({"disclosed_quantity": 20}, {"disclosed_quantity": 20}),
        ({"market_protection": 2}, {"market_protection": 2}),
        ({}, {"product": "MIS", "variety": "regular", "validity": "DAY", "market_protection": -1}),
    ],
    ids=["CNC", "IOC", "TTL", "disclosed", "protection", "defaults"],
)
def test_kites_own_fields_reach_the_exchange_and_trouble_no_simulator(house, given, in_the_book):
    ran = house.run(Noted, STEPS, plan={2: lambda s: s.buy(size=100, **given)}, config={"broker.leverage": 5}).strategy
    assert ran.story()[-1] == "Completed"
    assert {name: ran.infos[ran.returned[0].ref][name] for name in given} == given
    if house.live:
        (row,) = house.orders()
        assert {name: row[name] for name in in_the_book} == in_the_book


def test_a_tag_is_a_label_before_the_one_that_is_ours(house):
    ran = house.run(Noted, STEPS, plan={2: lambda s: s.buy(size=1, tag="entry")}).strategy
    assert ran.story() == DONE
    if house.live:
        (row,) = house.orders()
        assert row["tag"].startswith("entry")
        assert len(row["tag"]) <= 20


def test_an_order_that_reduces_takes_the_product_of_its_position(house):
    plan = {2: lambda s: s.buy(size=5, product="CNC"), 4: lambda s: s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.position.size == 0
    if house.live:
        assert [row["product"] for row in house.orders()] == ["CNC", "CNC"]


# ---- what the market does to orders ----


def test_a_trailing_stop_follows_the_price(house):
    """Up to 108, trailing by 3: out at 105 when it turns, not at the 97 where it began."""
    hill = [100.0, 100.0, 102.0, 104.0, 106.0, 108.0, 107.0, 106.0, 104.0, 103.0, 102.0]
    plan = {2: lambda s: [s.buy(size=1), s.sell(size=1, exectype=Order.StopTrail, trailamount=3.0)]}
    ran = house.run(Noted, hill, plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 100.0), (-1, 105.0)]


def test_orders_of_the_last_bar_wait_for_the_next_open(house):
    market = [CALM] * 7 + [(105.0, 105.0, 105.0, 105.0)] * 3
    ran = house.run(Noted, market, interval="60minute", plan={7: lambda s: s.buy(size=1)}).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 105.0)]


@ours  # backtrader itself keeps it for ever
def test_an_order_without_valid_ends_with_the_session(house):
    market = [CALM] * 7 + [DOWN] * 3  # a session of hours, and the morning after
    plan = {5: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0)}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert ran.story() == ["Submitted", "Accepted", "Expired"]


def test_an_order_that_is_carried_works_the_next_day(house):
    market = [CALM] * 7 + [DOWN] * 3  # a session of hours, and the morning after
    plan = {5: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0, carry=True)}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert ran.story() == DONE
    assert [price for _, _, price in ran.fills] == [95.0]


def test_a_gap_fills_a_stop_at_the_open(house):
    market = [CALM] * 4 + [(90.0, 91.0, 89.0, 90.0)] * 2
    plan = {2: lambda s: [s.buy(size=1), s.sell(size=1, exectype=Order.Stop, price=97.0)]}
    ran = house.run(Noted, market, plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 100.0), (-1, 90.0)]


@ours  # backtrader itself keeps a position per data
def test_two_feeds_of_one_symbol_share_its_position(house):

    class Both(Noted):
        def __init__(self):
            super().__init__()
            self.held = []

        def next(self):
            super().next()
            self.held.append(tuple(self.getposition(data).size for data in self.datas))

    def resampled(*args, **kwargs):
        engine = an_engine(house)
        adddata = engine.adddata

        def add(data, name=None):
            engine.adddata = adddata
            adddata(data, name=name)
            engine.resampledata(data, name="slow", timeframe=bt.TimeFrame.Minutes, compression=5)

        engine.adddata = add
        return house.run(*args, cerebro=engine, **kwargs)

    ran = resampled(Both, STEPS + STEPS, plan={6: lambda s: s.buy(size=3)}).strategy
    assert ran.held[-1] == (3, 3)
    assert [(len(data)) for data in ran.datas] == [20, 4]


@unless_live  # the exchange's own candle replay has unlimited depth (docs/fills.md, rule 9)
def test_an_order_of_more_than_the_book_shows_is_filled_in_parts(house):
    """The exchange shows 10,000,000 on each side; paper walks that, a candle has no depth and fills whole."""
    wanted = 25_000_000
    plan = {2: lambda s: s.buy(size=wanted), 6: lambda s: s.close()}
    outcome = house.run(Noted, [CALM] * 9, cash=1e12, plan=plan)
    ran = outcome.strategy
    parts = [size for ref, size, _ in ran.fills if ref == ran.returned[0].ref]
    assert sum(parts) == wanted
    assert len(parts) == (3 if house.name.startswith("paper") else 1)
    assert ran.story()[2:] == ["Partial"] * (len(parts) - 1) + ["Completed"]
    assert ran.position.size == 0
    assert [(trade.size, trade.pnl) for trade in outcome.trades] == [(wanted, 0.0)]


# ---- what strategies do at awkward moments ----


class Answers(Noted):
    """Answers its first fill with a stop and a target of its own, and the first of these that trades by a cancel."""

    def notify_order(self, order):
        super().notify_order(order)
        if order.status != Order.Completed:
            return
        if order.isbuy():
            self.exits = [
                self.sell(size=1, exectype=Order.Stop, price=95.0),
                self.sell(size=1, exectype=Order.Limit, price=105.0),
            ]
        else:
            for other in self.exits:
                if other.ref != order.ref:
                    self.cancel(other)


@pytest.mark.parametrize(("bar", "price"), [(UP, 105.0), (DOWN, 95.0)], ids=["target", "stop"])
def test_orders_and_cancels_may_be_given_in_notify_order(house, bar, price):
    ran = house.run(Answers, [CALM] * 5 + [bar, CALM, CALM], plan={2: lambda s: s.buy(size=1)}).strategy
    assert [(size, paid) for _, size, paid in ran.fills] == [(1, 100.0), (-1, price)]
    assert sorted(order.status for order in ran.exits) == [Order.Completed, Order.Canceled]


def test_a_cancel_may_be_given_twice_and_too_late(house):
    plan = {
        2: lambda s: [s.buy(size=1, exectype=Order.Limit, price=90.0), s.buy(size=1)],
        4: lambda s: [s.cancel(s.returned[0]), s.cancel(s.returned[0]), s.cancel(s.returned[1])][:0],
        6: lambda s: [s.cancel(s.returned[0]), s.cancel(s.returned[1])][:0],
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.story(0) == ["Submitted", "Accepted", "Canceled"]
    assert ran.story(1) == DONE


@ours  # backtrader's own rule has no gate unless one is given
def test_a_change_beyond_the_limits_leaves_the_order_as_it_was(house):
    plan = {
        2: lambda s: s.buy(size=50, exectype=Order.Limit, price=98.0),
        3: lambda s: s.broker.modify(s.returned[0], size=500),
    }
    ran = house.run(Noted, [CALM] * 5 + [DOWN, CALM], risk={"max_position_pct": 10}, plan=plan).strategy
    order, changed = ran.returned
    assert changed is False
    assert "risk.max_position_pct" in order.info.denied_change
    assert [(size, price) for _, size, price in ran.fills] == [(50, 98.0)]


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda s: s.buy(size=0.4), "less than one"),
        (lambda s: s.buy(size=1, exectype=Order.Close), "no counterpart"),
    ],
    ids=["a part of a share", "Close"],
)
@ours  # backtrader itself does it
def test_what_kite_cannot_do_is_denied_in_every_mode(house, give, words):
    ran = house.run(Noted, STEPS, plan={2: give}).strategy
    assert ran.story() == ["Rejected"]
    assert words in ran.infos[ran.returned[0].ref].denied


@ours  # backtrader itself knows no tick
def test_a_price_off_the_tick_is_moved_to_the_safe_side(house):
    plan = {
        2: lambda s: [
            s.buy(size=1, exectype=Order.Limit, price=98.03),
            s.sell(size=1, exectype=Order.Stop, price=97.01),
        ]
    }
    ran = house.run(Noted, [CALM] * 5 + [DOWN, CALM], plan=plan).strategy
    assert sorted(price for _, _, price in ran.fills) == [97.0, 98.0]


@ours  # it has no gate
def test_orders_of_the_warm_up_are_denied_and_next_waits(house):

    class Eager(Noted):
        def __init__(self):
            super().__init__()
            self.steps = []

        def prenext(self):
            self.returned.append(self.buy(size=1))

        def next(self):
            self.steps.append(len(self))
            if len(self) == 2:
                self.returned.append(self.buy(size=1))

    settings = {"warmup": 4}
    if house.exchange is not None:
        settings["start"] = "2026-11-18 09:19"
    ran = house.run(Eager, STEPS, **settings).strategy
    if house.stock:  # it cannot hold next() back; what is ordered then is denied all the same
        assert ran.steps == list(range(1, 11))
        assert [order.status for order in ran.returned] == [Order.Rejected]
        assert "warm up" in ran.infos[ran.returned[0].ref].denied
        return
    assert ran.steps == list(range(5, 11))
    assert len(ran.returned) == 4
    assert all(order.status == Order.Rejected for order in ran.returned)
    assert "warm up" in ran.infos[ran.returned[0].ref].denied


def test_an_error_in_a_strategy_comes_out_and_leaves_nothing_running(house):
    import threading

    class Fails(Noted):
        def next(self):
            super().next()
            if len(self) == 5:
                raise ArithmeticError("the strategy's own")

    before = set(threading.enumerate())
    engine = an_engine(house)
    with pytest.raises(ArithmeticError, match="the strategy's own"):
        house.run(Fails, STEPS, cerebro=engine, plan={2: lambda s: s.buy(size=1)})
    left = [thread for thread in threading.enumerate() if thread not in before]
    if house.stock:  # it stops nothing when a strategy raises; then nothing of ours may keep the process alive
        assert all(thread.daemon for thread in left)
        for store in engine.stores:
            store.stop()
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


def test_orders_given_in_stop_do_no_harm(house):
    class Last(Noted):
        def stop(self):
            self.returned.append(self.close())
            self.cancel(self.returned[-1])

    ran = house.run(Last, STEPS, plan={2: lambda s: s.buy(size=1)}).strategy
    assert ran.position.size == 1
    assert ran.returned[-1].isbuy() is False


def test_a_strategy_may_trade_in_its_own_trades(house):
    plan = {
        2: lambda s: s.buy(size=2, tradeid=1),
        3: lambda s: s.buy(size=3, tradeid=2),
        5: lambda s: s.sell(size=2, tradeid=1),
        6: lambda s: s.sell(size=3, tradeid=2),
    }
    outcome = house.run(Noted, STEPS, plan=plan)
    assert [(trade.size, trade.pnl) for trade in outcome.trades] == [(2, 6.0), (3, 9.0)]


def test_two_runs_of_one_strategy_are_the_same(house):
    plan = {
        2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=95.0, limitprice=105.0),
        4: lambda s: s.buy(size=1, exectype=Order.Limit, price=99.0),
    }
    market = [CALM] * 5 + [(100.0, 106.0, 94.0, 100.0), CALM]
    one, other = (house.run(Noted, market, plan=plan) for _ in range(2))
    assert one.fills == other.fills
    assert one.equity == other.equity
    assert one.times == other.times


def test_an_iceberg_reaches_the_exchange(house):
    plan = {
        2: lambda s: s.buy(
            size=100, exectype=Order.Limit, price=120.0, variety="iceberg", iceberg_legs=4, iceberg_quantity=25
        )
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.story()[-1] == "Completed"
    if house.live:
        assert {row["variety"] for row in house.orders()} == {"iceberg"}


def test_a_future_is_traded_in_lots_as_nrml(house):
    future = {"NFO:NIFTY26NOVFUT": [24_000.0 + n for n in range(10)]}
    plan = {2: lambda s: s.buy(size=65, product="NRML"), 4: lambda s: s.close()}
    ran = house.run(Noted, future, cash=5_000_000.0, plan=plan).strategy
    assert [ran.story(n)[-1] for n in range(2)] == ["Completed", "Completed"]
    if house.live:
        assert [row["product"] for row in house.orders()] == ["NRML", "NRML"]


@ours  # backtrader itself has no sessions
def test_an_order_outside_the_session_may_be_refused(house):
    market = [CALM] * 7 + [CALM] * 3
    plan = {7: lambda s: s.buy(size=1, after_hours="refuse")}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert ran.story() == ["Rejected"]
    assert "closed" in ran.infos[ran.returned[0].ref].denied


def test_an_order_outside_the_session_may_be_an_after_market_order(house):
    market = [CALM] * 7 + [(105.0, 105.0, 105.0, 105.0)] * 3
    plan = {7: lambda s: s.buy(size=1, after_hours="amo")}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 105.0)]
