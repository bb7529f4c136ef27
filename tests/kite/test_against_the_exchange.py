"""The room as a whole against the simulated exchange, which shares no code with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import requests

from btkite.clock import ExchangeClock, SystemClock
from btkite.errors import OrderRefused, SessionExpired
from btkite.exchange import Exchange, ExchangeSettings
from btkite.kite.client import KiteClient
from btkite.kite.desk import Cancel, Desk, Modify, Place
from btkite.kite.endpoints import resolve
from btkite.kite.inbox import DeskReply, Inbox, Link, LinkChange, Ticks
from btkite.kite.secret import Secret
from btkite.kite.session import RedirectCatcher, log_in, login_url, new_state, verify
from btkite.kite.stream import KiteStream
from btkite.values import Instrument, OrderType, OrderUpdate, Proposal, Side

KEY, TOKEN = "sandboxkey000000", "token-for-a-script"
SECRET = "sandboxsecret000000000000000000"  # the simulated exchange's published default


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    settings = ExchangeSettings(
        seed=7,
        symbols=("NSE:INFY", "NSE:SBIN"),
        interval="minute",
        generate_from=date(2026, 11, 18),
        generate_sessions=3,
        start=datetime(2026, 11, 20, 9, 14),
        auto_token=TOKEN,
    )
    with Exchange(settings) as running:
        yield running


@pytest.fixture
def fresh(exchange: Exchange) -> Exchange:
    """The same market from the start."""
    exchange.reset(exchange.settings)
    return exchange


class Rig:
    """Client, stream, desk and a clock in lock step, pumped by the test as the store pumps them."""

    def __init__(self, exchange: Exchange) -> None:
        self.inbox = Inbox()
        self.clock = ExchangeClock(exchange.url, lockstep=True)
        endpoint = resolve(exchange.url)
        self.client = KiteClient(endpoint, KEY, TOKEN, armed=True, clock=self.clock)
        self.stream = KiteStream(endpoint, KEY, lambda: TOKEN, self.inbox, self.clock)
        self.desk = Desk(self.client, self.inbox, self.clock, lambda request: None)
        self.events: list[Any] = []
        self.clock.idle = lambda: not (self.desk.busy or self.stream.busy or len(self.inbox))
        self.clock.frames_read = lambda: self.stream.frames_read
        table = self.client.instruments("NSE")
        self.tokens = dict(zip(table["tradingsymbol"], table["instrument_token"], strict=True))

    def pump(self, condition: Callable[[], bool]) -> None:
        wall = SystemClock()
        end = wall.now() + timedelta(seconds=20)
        while True:
            self.events += self.inbox.take()
            if condition():
                return
            assert wall.now() < end, self.events[-5:]
            self.clock.wait(self.inbox.bell, self.desk.due)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def proposal(self, ref: int, kind: OrderType, side: Side = Side.BUY, **changed: Any) -> Proposal:
        instrument = Instrument("NSE", "INFY", int(self.tokens["INFY"]))
        return Proposal(ref, instrument, side, 10, kind, "MIS", "regular", tag=f"t{ref}", **changed)

    def close(self) -> None:
        self.desk.stop(0.0)
        self.stream.stop()
        self.clock.close()
        self.client.close()


@pytest.fixture
def rig(fresh: Exchange) -> Iterator[Rig]:
    made = Rig(fresh)
    yield made
    made.close()


def test_a_market_order_is_placed_filled_and_told_in_lock_step(rig: Rig) -> None:
    rig.stream.subscribe({int(rig.tokens["INFY"]): "full"})
    rig.stream.start()
    rig.pump(lambda: len(rig.of(Ticks)) > 5)
    rig.desk.submit(Place(1, rig.proposal(1, OrderType.MARKET, market_protection=2.0)))
    rig.pump(lambda: any(update.terminal for update in rig.of(OrderUpdate)) and len(rig.of(DeskReply)) == 1)
    (reply,) = rig.of(DeskReply)
    update = next(update for update in rig.of(OrderUpdate) if update.terminal)
    assert reply.error is None
    assert (update.order_id, update.status, update.filled_quantity, update.tag) == (
        reply.order_id,
        "COMPLETE",
        10,
        "t1",
    )
    book = {order.order_id: order for order in rig.client.orders()}
    assert book[reply.order_id].average_price == update.average_price
    (trade,) = rig.client.order_trades(reply.order_id)
    assert (trade.quantity, trade.average_price) == (10, update.average_price)
    assert [(row.tradingsymbol, row.quantity) for row in rig.client.positions()] == [("INFY", 10)]
    last = rig.of(Ticks)[-1].ticks[-1]
    assert rig.client.ltp("NSE:INFY")["NSE:INFY"]["last_price"] == last.last_price


def test_an_order_rests_is_changed_and_cancelled(rig: Rig) -> None:
    rig.stream.start()
    token = int(rig.tokens["INFY"])
    rig.stream.subscribe({token: "ltp"})
    rig.pump(lambda: len(rig.of(Ticks)) > 3)
    low = round(rig.of(Ticks)[-1].ticks[-1].last_price * 0.9, 0)
    rig.desk.submit(Place(1, rig.proposal(1, OrderType.LIMIT, price=low)))
    rig.pump(lambda: len(rig.of(DeskReply)) == 1)
    order_id = rig.of(DeskReply)[0].order_id
    rig.desk.submit(Modify(1, order_id, {"price": low - 1}))
    rig.pump(lambda: len(rig.of(DeskReply)) == 2)
    rig.desk.submit(Cancel(1, order_id))
    rig.pump(
        lambda: any(update.status == "CANCELLED" for update in rig.of(OrderUpdate)) and len(rig.of(DeskReply)) == 3
    )
    assert [reply.error for reply in rig.of(DeskReply)] == [None] * 3
    history = rig.client.order_history(order_id)
    assert history[-1].status == "CANCELLED"
    assert history[-1].price == low - 1


def test_kites_refusals_are_told_as_such(rig: Rig) -> None:
    rig.stream.start()
    rig.stream.subscribe({int(rig.tokens["INFY"]): "ltp"})
    rig.pump(lambda: len(rig.of(Ticks)) > 3)
    rig.desk.submit(Place(1, rig.proposal(1, OrderType.LIMIT, price=100.001)))
    rig.desk.submit(Cancel(2, "999"))
    rig.pump(lambda: len(rig.of(DeskReply)) == 2)
    for reply in rig.of(DeskReply):
        assert isinstance(reply.error, OrderRefused), reply
    texts = {reply.ref: str(reply.error) for reply in rig.of(DeskReply)}
    assert "ick size" in texts[1]


def test_candles_are_those_that_the_stream_printed(rig: Rig) -> None:
    rig.stream.start()
    token = int(rig.tokens["SBIN"])
    rig.stream.subscribe({token: "full"})
    start, end = datetime(2026, 11, 20, 9, 15), datetime(2026, 11, 20, 9, 17)
    rig.pump(lambda: rig.clock.now() >= datetime(2026, 11, 20, 9, 19))
    prints = [tick for event in rig.of(Ticks) for tick in event.ticks if tick.exchange_time]
    candles = rig.client.historical(token, start, end, "minute")
    assert candles["date"].astype(object).tolist() == [start + timedelta(minutes=number) for number in range(3)]
    for number, moment in enumerate(candles["date"].astype("int64") - 19_800):
        inside = [tick.last_price for tick in prints if moment <= tick.exchange_time < moment + 60]
        assert (inside[0], max(inside), min(inside), inside[-1]) == tuple(
            candles[name][number] for name in ("open", "high", "low", "close")
        )


def test_a_login_by_the_browsers_way(fresh: Exchange) -> None:
    """The exchange's page redirects to us with a request token, as Kite's does."""
    state = new_state()
    with RedirectCatcher(0, state) as catcher:
        fresh.reset(replace(fresh.settings, redirect_url=catcher.url))
        endpoint = resolve(fresh.url)
        clock = ExchangeClock(fresh.url, lockstep=True)
        page = login_url(endpoint, KEY, state)
        browser = threading.Thread(target=requests.post, args=(page,), kwargs={"timeout": 10})
        browser.start()
        token = catcher.wait(10)
        browser.join(10)
    client = KiteClient(endpoint, KEY, clock=clock)
    session = log_in(client, token, Secret(SECRET), clock)
    assert session.alive(clock.now())
    assert verify(client)["user_id"] == session.user_id
    with pytest.raises(SessionExpired):
        log_in(KiteClient(endpoint, KEY, clock=clock), token, Secret(SECRET), clock)
    clock.close()


def test_a_wrong_token_is_refused_on_both_doors(fresh: Exchange) -> None:
    endpoint = resolve(fresh.url)
    inbox = Inbox()
    with pytest.raises(SessionExpired, match=r"\(log in again: btkite login\)$"):
        verify(KiteClient(endpoint, KEY, "nonsense", clock=SystemClock()))
    stream = KiteStream(endpoint, KEY, lambda: "nonsense", inbox, SystemClock())
    stream.start()
    events: list[Any] = []
    wall = SystemClock()
    end = wall.now() + timedelta(seconds=10)
    while not any(isinstance(event, LinkChange) and event.link is Link.REFUSED for event in events):
        assert wall.now() < end
        inbox.bell.wait(0.05)
        events += inbox.take()
    stream.stop()
