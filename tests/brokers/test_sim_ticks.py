"""SimBroker on ticks (paper): the touch, displayed depth, and the time between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.linetime import to_seconds
from btkite.values import Instrument, Level, Tick
from tests.brokers.scene import Order, Planned, buy, sell

NOON = datetime(2026, 11, 18, 12, 0)
CLOSE = datetime(2026, 11, 18, 15, 30)


def tick(last: float, bids: Any = (), asks: Any = ()) -> Tick:
    """Levels are (price, quantity)."""
    return Tick(
        1,
        "full" if bids or asks else "ltp",
        last,
        bids=tuple(Level(price, quantity, 1) for price, quantity in bids),
        asks=tuple(Level(price, quantity, 1) for price, quantity in asks),
    )


def around(price: float, quantity: int = 100, spread: float = 0.1) -> Tick:
    """Five levels on each side, a spread between them."""
    steps = [round(spread / 2 + 0.05 * n, 2) for n in range(5)]
    return tick(
        price, [(round(price - s, 2), quantity) for s in steps], [(round(price + s, 2), quantity) for s in steps]
    )


class Wire:
    """A store as Cerebro sees it: a minute of ticks for the broker at the top of each turn, then its bar."""

    def __init__(self, minutes: Any, first: datetime) -> None:
        self.coming, self.end = list(minutes), first
        self.data = Minutes()
        self.broker: Any = None

    def start(self, data: Any = None, broker: Any = None) -> None:
        """Nothing to connect to."""

    stop = start

    def get_notifications(self) -> list[Any]:
        if not self.coming:
            self.data.over = True
            return []
        begin, self.end = self.end, self.end + timedelta(minutes=1)
        ticks = self.coming.pop(0)
        for second, one in ticks:
            self.broker.take_tick(self.data, one, to_seconds(begin) + second, to_seconds(self.end))
        self.broker.on_time(to_seconds(self.end))
        self.data.ready.append((self.end, [one.last_price for _, one in ticks]))
        return []


class Minutes(bt.feed.DataBase):
    """The bars of a :class:`Wire`."""

    is_stream = True
    over = False

    def __init__(self) -> None:
        super().__init__()
        self.instrument = Instrument("NSE", "TEST", 1)
        self.ready: list[Any] = []

    def islive(self) -> bool:
        return True

    def haslivedata(self) -> bool:
        return bool(self.ready)

    def _load(self) -> bool | None:
        if not self.ready:
            return False if self.over else None
        end, prices = self.ready.pop(0)
        self.lines.datetime[0] = bt.date2num(end)
        self.lines.open[0], self.lines.high[0] = prices[0], max(prices)
        self.lines.low[0], self.lines.close[0] = min(prices), prices[-1]
        self.lines.volume[0] = self.lines.openinterest[0] = 0.0
        return True


def run(minutes: Any, plan: Any, *, react: Any = None, first: datetime = NOON, **config: Any) -> Planned:
    cerebro, wire = Cerebro(stdstats=False), Wire(minutes, first)
    cerebro.addstore(wire)
    cerebro.adddata(wire.data, name="TEST")
    keys = {"risk.enabled": False, "broker.charges": False, "broker.capital": 1e7, **config}
    wire.broker = SimBroker(config=Config().with_(**keys))
    cerebro.setbroker(wire.broker)
    cerebro.addstrategy(Planned, plan=plan, react=react)
    found: Planned = cerebro.run()[0]
    return found


def minute(*ticks: Tick, step: int = 10) -> list[tuple[int, Tick]]:
    return [(step * number, one) for number, one in enumerate(ticks)]


QUIET = minute(tick(100.0))

# ---- the touch ----


@pytest.mark.parametrize(
    ("give", "price"),
    [
        (buy(), 100.05),
        (sell(), 99.95),
        (buy(exectype=Order.Limit, price=100.2), 100.05),
        (sell(exectype=Order.Limit, price=99.8), 99.95),
        (buy(exectype=Order.Limit, price=100.0), None),  # the last price is there, the best ask is not
        (sell(exectype=Order.Limit, price=100.0), None),
        (buy(exectype=Order.Stop, price=100.05), None),
    ],
)
def test_a_buyer_pays_the_ask_and_a_seller_gets_the_bid(give, price):
    ran = run([QUIET, minute(around(100.0)), minute(around(100.0))], {1: give})
    assert ran.prices() == ([] if price is None else [price])


@pytest.mark.parametrize(
    ("last", "give", "price"),
    [
        (99.9, buy(exectype=Order.Stop, price=100.0), 100.05),
        (100.1, sell(exectype=Order.Stop, price=100.0), 99.95),
        (99.9, buy(exectype=Order.StopLimit, price=100.0, plimit=100.05), 100.05),
        (99.9, buy(exectype=Order.StopLimit, price=100.0, plimit=100.0), None),
    ],
)
def test_a_stop_is_triggered_by_the_last_price_and_trades_at_the_touch(last, give, price):
    ran = run([minute(tick(last)), minute(around(100.0)), minute(around(100.0))], {1: give})
    assert ran.prices() == ([] if price is None else [price])


def test_without_depth_the_last_price_is_the_touch():
    assert run([QUIET, minute(tick(101.0))], {1: buy()}).prices() == [101.0]


def test_a_resting_limit_trades_at_its_own_price_when_the_touch_passes_it():
    ran = run([QUIET, minute(around(100.0), around(99.0))], {1: buy(exectype=Order.Limit, price=99.5)})
    assert ran.prices() == [99.5]


def test_a_stop_on_the_way_trades_at_the_touch_there():
    ran = run([QUIET, minute(around(100.0), around(102.0))], {1: buy(exectype=Order.Stop, price=101.0)})
    assert ran.prices() == [pytest.approx(101.05)]


def test_the_tick_that_opens_a_bar_is_a_jump():
    ran = run([QUIET, minute(around(100.0)), minute(around(98.0))], {1: buy(exectype=Order.Limit, price=99.5)})
    assert ran.prices() == [98.05]
    inside = run([QUIET, minute(around(100.0), around(98.0))], {1: buy(exectype=Order.Limit, price=99.5)})
    assert inside.prices() == [99.5]


def test_an_order_does_not_trade_at_the_tick_that_it_was_given_on():
    ran = run([minute(around(100.0), around(101.0)), minute(around(102.0))], {1: buy()})
    assert ran.prices() == [102.05]


def test_an_answer_meets_the_next_tick():
    def react(s, order):
        if order.status == Order.Completed and order.isbuy():
            return s.sell(size=1)

    ran = run([QUIET, minute(around(100.0), around(101.0), around(102.0))], {1: buy()}, react=react)
    assert ran.prices() == [100.05, 100.95]


# ---- displayed depth ----


def test_an_order_larger_than_the_touch_walks_the_levels():
    ran = run([QUIET, minute(around(100.0))], {1: buy(size=250)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(100, 100.05), (100, 100.1), (50, 100.15)]
    assert ran.story() == ["Submitted", "Accepted", "Partial", "Partial", "Completed"]
    assert ran.position.price == pytest.approx((100 * 100.05 + 100 * 100.1 + 50 * 100.15) / 250)


def test_a_seller_walks_the_bids_down():
    ran = run([QUIET, minute(around(100.0))], {1: sell(size=150)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(-100, 99.95), (-50, 99.9)]


def test_what_the_book_cannot_take_waits_for_the_next_print():
    ran = run([QUIET, minute(around(100.0), around(101.0))], {1: buy(size=700)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [
        *((100, round(100.05 + 0.05 * n, 2)) for n in range(5)),
        (100, 101.05),
        (100, 101.1),
    ]


def test_a_limit_walks_no_further_than_itself_and_pays_each_level():
    ran = run([QUIET, minute(around(100.0))], {1: buy(size=500, exectype=Order.Limit, price=100.12)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(100, 100.05), (100, 100.1)]
    assert ran.given[0].status == Order.Partial or ran.story()[-1] == "Partial"


def test_the_rest_of_a_limit_rests():
    ticks = minute(around(100.0), around(100.2), around(100.0))
    ran = run([QUIET, ticks], {1: buy(size=150, exectype=Order.Limit, price=100.05)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(100, 100.05), (50, 100.05)]
    assert ran.times() == ["12:01:00", "12:01:20"]


def test_a_limit_that_is_passed_takes_what_is_shown_up_to_its_price():
    ran = run([QUIET, minute(around(100.0), around(99.4))], {1: buy(size=500, exectype=Order.Limit, price=99.5)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(100, 99.5), (100, 99.5)]  # 99.45 and 99.5 are shown


def test_a_triggered_stop_walks_a_book_as_deep_as_the_one_that_was_seen():
    ran = run([QUIET, minute(around(100.0), around(102.0))], {1: buy(size=150, exectype=Order.Stop, price=101.0)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(100, 101.05), (50, 101.1)]


def test_a_triggered_stop_limit_stays_within_its_limit():
    give = buy(size=250, exectype=Order.StopLimit, price=101.0, plimit=101.1)
    ran = run([QUIET, minute(around(100.0), around(102.0), around(101.0))], {1: give})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(100, 101.05), (100, 101.1), (50, 101.05)]


def test_two_orders_on_one_tick_share_what_is_shown():
    ran = run([QUIET, minute(around(100.0), around(100.0))], {1: lambda s: [s.buy(size=80), s.buy(size=80)]})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(80, 100.05), (20, 100.05), (60, 100.1)]


def test_unlimited_depth_fills_whole_at_the_touch():
    ran = run([QUIET, minute(around(100.0))], {1: buy(size=700)}, **{"broker.depth": "unlimited"})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(700, 100.05)]


def test_where_nobody_sells_nobody_buys():
    """The upper circuit: bids are shown, and no offer."""
    locked = tick(110.0, bids=[(110.0, 500)], asks=[(0.0, 0)])
    ran = run([QUIET, minute(locked), minute(locked, around(109.0))], {1: buy(size=10)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(10, 109.05)]
    ran = run([QUIET, minute(locked)], {1: sell(size=10)})
    assert ran.prices() == [110.0]


def test_exits_are_sized_to_what_the_entry_has_filled():
    def enter(s):
        return s.buy_bracket(size=150, price=100.05, stopprice=95.0, limitprice=102.0)

    sizes = []

    def react(s, order):
        if order.ref == s.given[0].ref if s.given else False:
            sizes.append([abs(child.size) for child in s.given[1:]])

    ticks = minute(around(100.0), around(100.3), around(100.0), around(102.5))
    ran = run([QUIET, ticks, minute(around(102.5))], {1: enter}, react=react)
    fills = [(size, price) for _, size, price, _ in ran.fills]
    assert fills[:2] == [(100, 100.05), (50, 100.05)]
    assert sum(size for size, _ in fills) == 0
    assert ran.story(1)[-1] == "Canceled"
    assert ran.position.size == 0


def test_the_brokerage_cap_is_taken_once_over_partial_fills():
    from datetime import date

    from btkite.market.charges import charge_order
    from btkite.values import Side

    ran = run([QUIET, minute(around(4000.0, 20))], {1: buy(size=100)}, **{"broker.charges": True})
    fills = [(int(size), price) for _, size, price, _ in ran.fills]
    assert len(fills) == 5
    due = charge_order(Instrument("NSE", "TEST", 1), Side.BUY, "MIS", fills, date(2026, 11, 18))
    assert due.brokerage == 20.0
    assert ran.broker.ledger.charges == pytest.approx(due.total, abs=1e-9)


# ---- frictions and time ----


def test_slippage_is_on_top_of_the_touch():
    ran = run([QUIET, minute(around(100.0))], {1: buy(size=150)}, **{"broker.slippage_ticks": 1})
    assert ran.prices() == [100.1, 100.15]


@pytest.mark.parametrize(("latency", "price"), [(0, 100.05), (5, 101.05), (10, 101.05), (11, 102.05)])
def test_an_order_on_its_way_meets_the_first_tick_after_its_arrival(latency, price):
    ticks = minute(around(100.0), around(101.0), around(102.0))
    ran = run([QUIET, ticks], {1: buy()}, **{"broker.latency": latency})
    assert ran.prices() == [price]


def test_a_deadline_passes_between_ticks_and_wakes_the_store():
    due = []

    def look(s):
        order = s.buy(size=1, exectype=Order.Limit, price=90.0, valid=timedelta(seconds=15))
        due.append(s.broker.next_due())
        return order

    ended = []

    def react(s, order):
        if not order.alive():
            ended.append(s.broker.now)

    ran = run([QUIET, minute(around(100.0), around(100.0), around(89.0))], {1: look}, react=react)
    deadline = to_seconds(NOON) + 75
    assert due == [deadline]
    assert ended == [deadline]
    assert ran.story()[-1] == "Expired"


def test_orders_end_with_the_session_and_wait_for_the_next():
    first = CLOSE - timedelta(minutes=2)
    plan = {1: buy(exectype=Order.Limit, price=90.0), 2: buy()}
    ran = run([QUIET] * 2, plan, first=first, **{"broker.mis_cutoff": "send", "broker.square_off": None})
    assert ran.story(0) == ["Submitted", "Accepted", "Expired"]
    assert ran.given[1].alive()
    assert ran.broker.next_due() == to_seconds(datetime(2026, 11, 19, 9, 15))


def test_a_held_order_expires_at_its_deadline_not_at_the_open():
    valid = datetime(2026, 11, 18, 20, 0)
    ran = run([QUIET], {1: buy(valid=valid)}, first=CLOSE - timedelta(minutes=1))
    assert ran.broker.next_due() == to_seconds(valid)
    ran.broker.on_time(to_seconds(valid))
    assert ran.given[0].status == Order.Expired
