"""The account outlives the process: what one run leaves, the next one finds."""

from __future__ import annotations

from datetime import datetime, timedelta

import backtrader as bt
import numpy as np
import pytest

from btkite.brokers.record import Record, book_of
from btkite.clock import ManualClock
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.exchange import Exchange
from btkite.journal import Journal
from btkite.series import Candles
from btkite.store import KiteStore
from tests.parity.three import FREE, Watch, settings

DAY = datetime(2024, 7, 1)
KEY = "NSE:AAA"


def minutes(count=120, days=1):
    starts, closes = [], []
    for number in range(days):
        for minute in range(count):
            starts.append(DAY + timedelta(days=number, hours=9, minutes=15 + minute))
            closes.append(100 + 2 * np.sin(minute / 9))
    close = np.round(np.array(closes) / 0.05) * 0.05
    open_ = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
    return Candles.of(
        KEY,
        "minute",
        {
            "date": np.array(starts, dtype="datetime64[s]"),
            "open": np.round(open_, 2),
            "high": np.round(high, 2),
            "low": np.round(low, 2),
            "close": np.round(close, 2),
            "volume": np.full(len(starts), 100),
        },
    )


class Stateless(bt.Strategy):
    """Everything it does follows from the clock and the position, so that a restart changes nothing."""

    def __init__(self):
        self.told = None
        self.heard = []

    def restored(self, orders, position):
        self.told = (
            [(o.ref, o.getordername(), o.created.price, bool(o.info.adopted)) for o in orders],
            {key: held.size for key, held in position.items()},
        )

    def notify_order(self, order):
        self.heard.append((order.ref, order.getstatusname(), bool(order.info.get("adopted"))))

    def next(self):
        at = self.datetime.time(0).strftime("%H:%M")
        if at == "09:20":
            self.buy(size=3)
            self.buy(size=2, exectype=bt.Order.Limit, price=98.2)
        if at == "09:25":
            stop = self.sell(size=3, exectype=bt.Order.Stop, price=97.0)
            self.sell(size=3, exectype=bt.Order.Limit, price=103.0, oco=stop)
        if at == "11:05" and self.position:
            self.close()


def go(exchange, tmp_path, record, start, end=None, mode="paper", candles=None, strategy=Stateless):
    data = {KEY: candles if candles is not None else minutes()}
    exchange.reset(settings(data, start, end=end))
    config = Config().with_(**{**FREE, "data.cache": str(tmp_path), "broker.kite_connect.endpoint": exchange.url})
    store = KiteStore(mode=mode, config=config, confirm="SIM001")
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(store.getdata(KEY, interval="minute"))
    cerebro.setbroker(store.getbroker(record=record))
    cerebro.addstrategy(strategy)
    cerebro.addanalyzer(Watch)
    (ran,) = cerebro.run()
    return ran, cerebro.broker


@pytest.fixture
def exchange():
    with Exchange(settings({KEY: minutes()}, DAY + timedelta(hours=9))) as started:
        yield started


def test_a_paper_account_goes_on_where_it_was(exchange, tmp_path):
    whole, _ = go(exchange, tmp_path, None, DAY + timedelta(hours=9))
    value = whole.broker.getvalue()

    def journal():
        return Journal(tmp_path / "journal.sqlite", ManualClock(DAY))

    cut = DAY + timedelta(hours=9, minutes=28)
    with journal() as first:
        before, broker = go(exchange, tmp_path, Record(first), DAY + timedelta(hours=9), end=cut)
        assert broker.getposition(before.data).size == 3
        open_orders = sorted(order.ref for order in broker.get_orders_open())
        assert len(open_orders) == 3
    with journal() as second:
        after, broker = go(exchange, tmp_path, Record(second), cut)
        assert second.verify() is None
    told, position = after.told
    assert sorted(ref for ref, *_ in told) == open_orders
    assert all(adopted for *_, adopted in told)
    assert {name for _, name, *_ in told} == {"Limit", "Stop"}
    assert position[KEY] == 3
    assert broker.getvalue() == pytest.approx(value)
    # The trade that was opened before the restart is closed after it, with its own price.
    trades = whole.analyzers.watch.get_analysis()["trades"]
    assert [row[2] for row in after.analyzers.watch.get_analysis()["trades"]] == [
        pytest.approx(row[2]) for row in trades
    ]


def test_a_day_order_of_a_session_that_is_over_comes_back_expired(exchange, tmp_path):
    candles = minutes(30, days=2)
    with Journal(tmp_path / "journal.sqlite", ManualClock(DAY)) as first:
        go(
            exchange,
            tmp_path,
            Record(first),
            DAY + timedelta(hours=9),
            end=DAY + timedelta(hours=9, minutes=24),
            candles=candles,
        )
    with Journal(tmp_path / "journal.sqlite", ManualClock(DAY)) as second:
        after, broker = go(exchange, tmp_path, Record(second), DAY + timedelta(days=1, hours=9), candles=candles)
    assert "Expired" in [status for _, status, adopted in after.heard if adopted]
    assert broker.getposition(after.data).size >= 3


def test_delivery_shares_are_t1_for_a_day_and_holdings_after(exchange, tmp_path):
    class Deliver(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.buy(size=4, product="CNC")

    with Journal(tmp_path / "journal.sqlite", ManualClock(DAY)) as journal:
        _, broker = go(exchange, tmp_path, Record(journal), DAY + timedelta(hours=9), strategy=Deliver)
    day = DAY.date()
    assert broker.holdings(day) == []
    (row,) = broker.holdings(day + timedelta(days=1))
    assert (row["quantity"], row["t1_quantity"]) == (0, 4)
    (row,) = broker.holdings(day + timedelta(days=2))
    assert (row["quantity"], row["t1_quantity"]) == (4, 0)


def test_live_orders_come_back_by_their_ids_without_a_second_order(exchange, tmp_path):
    start, cut = DAY + timedelta(hours=9), DAY + timedelta(hours=9, minutes=28)
    with Journal(tmp_path / "journal.sqlite", ManualClock(DAY)) as first:
        _, broker = go(exchange, tmp_path, Record(first), start, end=cut, mode="live")
        ids = {order.info.order_id for order in broker.get_orders_open()}
        kinds = [event.kind for event in first.events()]
        assert kinds.index("intent") < kinds.index("sending") < kinds.index("reply")
        book = Record(first).last_book()
    assert len(ids) == 3
    assert {row["info"]["order_id"] for row in book["orders"]} == ids


def containers(value, where=""):
    """Every list and object of a tree, by identity."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {id(value): where} if isinstance(value, dict | list) else {}
    for name, item in inner:
        found |= containers(item, f"{where}/{name}")
    return found


def test_a_book_is_changed_by_nobody_later(exchange, tmp_path):
    """The journal keeps it, and writes what is different in the next one."""
    shared, sizes = [], []

    class Looks(Stateless):
        def next(self):
            super().next()
            one, other = book_of(self.broker), book_of(self.broker)
            mine, theirs = containers(one), containers(other)
            shared.extend(mine[place] for place in mine.keys() & theirs.keys())
            sizes.append((len(one["orders"]), len(one["groups"]["groups"]), len(one["positions"])))

    with Journal(tmp_path / "journal", ManualClock(DAY)) as journal:
        go(exchange, tmp_path, Record(journal), DAY + timedelta(hours=9), strategy=Looks)
    assert max(sizes) >= (3, 1, 1)
    assert shared == []


def test_of_two_sendings_under_one_tag_the_last_counts(tmp_path):
    """An exit that left anew: the doubt counts from there, or it would be over at once after a restart."""
    clock = ManualClock(datetime(2026, 11, 18, 9, 20))
    with Journal(tmp_path / "journal.sqlite", clock) as journal:
        journal.append("sending", {"tag": "T"})
        clock.advance(95)
        journal.append("sending", {"tag": "T"})
        assert Record(journal).sent_at("T") == datetime(2026, 11, 18, 9, 21, 35)
