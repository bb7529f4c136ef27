"""Random order flow: nothing fills beyond its quantity, states move by Kite's own steps, and a seed is a book."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.exchange import ExchangeSettings
from btkite.exchange.errors import Refusal
from btkite.exchange.orders import TERMINAL, Order
from btkite.exchange.venue import Venue

from .scene import DAY, TOKEN, Client

SHARES, FUTURE = ("NSE:INFY", "NSE:TCS"), "NFO:NIFTY26NOVFUT"
RECEIVED, VALIDATION, PENDING = "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING"
MODIFY = ("MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED")
RESTING = ("OPEN", "TRIGGER PENDING")
LEAVES = {MODIFY[0], "CANCEL PENDING", "CANCELLED", "REJECTED"}

# From each status to those that may follow it (kite.trade/docs/connect/v3/orders, and dumps of real orders).
NEXT: dict[str, set[str]] = {
    "": {RECEIVED, "AMO REQ RECEIVED", PENDING},
    RECEIVED: {VALIDATION},
    "AMO REQ RECEIVED": {"AMO REQ RECEIVED", VALIDATION, "CANCELLED"},
    VALIDATION: {PENDING, "REJECTED"},
    PENDING: {*RESTING, "REJECTED"},
    "OPEN": {"OPEN", "COMPLETE", *LEAVES},
    "TRIGGER PENDING": {"OPEN", *LEAVES},
    MODIFY[0]: {MODIFY[1]},
    MODIFY[1]: {MODIFY[2], *RESTING},
    MODIFY[2]: set(RESTING),
    "CANCEL PENDING": {"CANCELLED"},
    "CANCELLED": {"CANCELLED"},
    "COMPLETE": set(),
    "REJECTED": set(),
}


def options(dice: random.Random) -> dict[str, Any]:
    """The settings of one market."""
    return {
        "seed": dice.randrange(1000),
        "symbols": (*SHARES, FUTURE),
        "generate_from": DAY.date(),
        "generate_sessions": 2,
        "cash": dice.choice([20_000.0, 3_000_000.0, 1e9]),
        "holdings": {"NSE:INFY": (50, 1000.0)},
        "auto_token": TOKEN,
        "expire_tokens": False,
        "require_market_protection": False,
        "depth": dice.choice(["unlimited", 20, 200]),
        "protection_binds": dice.random() < 0.5,
        "order_delay": dice.choice([0, 0, 0.7, 25]),
        "rms": dice.choice(["sync", "async"]),
        "lapse": dice.choice(["close", "kite"]),
        "checks": dice.choice([(), "kite", ("lpp", "circuit")]),
        "history_profile": dice.choice(["docs", "seen"]),
        "modify_qty_semantics": dice.choice(["total", "remaining"]),
        "charges": False,
    }


def an_order(dice: random.Random, last: float) -> tuple[str, dict[str, str]]:
    """Variety and form of some order near the last price; not all of them make sense."""
    key = dice.choice((*SHARES, FUTURE))
    exchange, symbol = key.split(":")
    buys = dice.random() < 0.5
    kind = dice.choice(("MARKET", "LIMIT", "LIMIT", "SL", "SL-M"))
    variety = dice.choice(("regular",) * 6 + ("amo", "co", "iceberg"))
    lot = 65 if exchange == "NFO" else 1
    near = round(last * (1 + dice.uniform(-0.01, 0.01)) / 0.05) * 0.05
    far = near * (1.002 if buys else 0.998)
    stop = far if variety != "co" else near * (0.99 if buys else 1.01)
    count = dice.randrange(2, 5)
    each = dice.randrange(1, 40) * lot
    fields: dict[str, Any] = {
        "exchange": exchange,
        "tradingsymbol": symbol,
        "transaction_type": "BUY" if buys else "SELL",
        "order_type": kind,
        "product": "NRML" if exchange == "NFO" else dice.choice(("CNC", "MIS")),
        "validity": dice.choice(("DAY", "DAY", "IOC", "TTL")),
        "validity_ttl": dice.randrange(1, 6),
        "quantity": each * count if variety == "iceberg" else each,
        "iceberg_legs": count,
        "iceberg_quantity": each,
        "price": f"{round(far / 0.05) * 0.05:.2f}",
        "trigger_price": f"{round(stop / 0.05) * 0.05 - (0.05 if buys else -0.05):.2f}",
        "market_protection": dice.choice((-1, 0.2, 2)),
        "tag": dice.choice(("", "a tag")),
    }
    return variety, {name: str(value) for name, value in fields.items()}


def step(
    dice: random.Random,
    orders: list[dict[str, Any]],
    last: float,
    ask: Callable[[str, str, dict[str, str]], None],
    pull: Callable[[], None],
) -> None:
    """One random act of a client, or a stretch of market."""
    act = dice.random()
    live = [row for row in orders if row["status"] not in TERMINAL]
    if act < 0.4 or not live:
        variety, form = an_order(dice, last)
        ask("POST", f"/orders/{variety}", form)
    elif act < 0.55:
        row = dice.choice(live)
        form = {"price": f"{round(last * dice.uniform(0.99, 1.01) / 0.05) * 0.05:.2f}"}
        if dice.random() < 0.5:
            form = {"quantity": str(max(1, row["quantity"] // dice.randrange(1, 4)))}
        ask("PUT", f"/orders/{row['variety']}/{row['order_id']}", form)
    elif act < 0.65:
        row = dice.choice(live)
        ask("DELETE", f"/orders/{row['variety']}/{row['order_id']}", {})
    if dice.random() < 0.6:
        pull()


class Run:
    """A venue that is driven by a seed."""

    def __init__(self, seed: int, acts: int) -> None:
        self.dice = random.Random(seed)
        self.venue = Venue(ExchangeSettings(**options(self.dice)))
        self.filled: dict[str, int] = {}
        self.placed: dict[str, Order] = {}  # of every day
        self.pull()
        for _ in range(acts):
            rows = [order.latest() for order in self.venue.book.orders.values()]
            step(self.dice, rows, self.venue.market.listings["NSE:INFY"].path or 100.0, self.ask, self.pull)
            self.look()
            if self.venue.done:
                break

    def ask(self, method: str, path: str, form: dict[str, str]) -> None:
        _, _, variety, *rest = path.split("/")
        try:
            if method == "POST":
                self.venue.flow.place_for_wire(variety, form)
            elif method == "PUT":
                self.venue.modify(variety, rest[0], form)
            else:
                self.venue.cancel(variety, rest[0])
        except Refusal:
            return

    def pull(self) -> None:
        for _ in range(self.dice.choice((1, 1, 2, 40))):
            self.venue.pull(False, None)

    def look(self) -> None:
        for key, order in self.venue.book.orders.items():
            self.placed[key] = order
            assert self.filled.get(key, 0) <= order.filled_quantity <= order.quantity
            self.filled[key] = order.filled_quantity


def check_order(order: Order) -> None:
    status, before = "", 0
    for row in order.history:
        shown = row["status"].removesuffix(" AMO") if row["status"].startswith("CANCELLED") else row["status"]
        assert shown in NEXT[status], f"{status!r} -> {shown!r}: {[one['status'] for one in order.history]}"
        assert before <= row["filled_quantity"] <= row["quantity"]
        assert row["average_price"] > 0 if row["filled_quantity"] else row["average_price"] == 0
        if shown == "COMPLETE":
            assert row["filled_quantity"] == row["quantity"]
            assert row["pending_quantity"] == 0
        if shown == "CANCELLED":
            assert row["filled_quantity"] + row["cancelled_quantity"] == row["quantity"]
        status, before = shown, row["filled_quantity"]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_whatever_is_asked_fills_stay_within_and_states_move_as_on_kite(seed: int) -> None:
    run = Run(seed, 80)
    assert run.placed
    for order in run.placed.values():
        check_order(order)
    book = run.venue.book
    for key, order in book.orders.items():
        trades = [trade for trade in book.trades if trade["order_id"] == key]
        assert sum(trade["quantity"] for trade in trades) == order.filled_quantity
        assert (order.blocked, order.reserved) == (0, 0) or not order.terminal


@pytest.mark.parametrize("seed", [3, 17])
def test_the_same_seed_gives_the_same_book_byte_for_byte(seed: int) -> None:
    first, second = (Run(seed, 90) for _ in range(2))
    assert first.venue.book.trades
    assert orjson.dumps(first.venue.state()) == orjson.dumps(second.venue.state())
    assert orjson.dumps(Run(seed + 1, 30).venue.state()) != orjson.dumps(first.venue.state())


def test_over_the_wire_the_same_seed_gives_the_same_book_too(load: Callable[..., Client]) -> None:
    def play(seed: int) -> tuple[bytes, list[int]]:
        dice = random.Random(seed)
        client = load(**options(dice))
        answers = []

        def ask(method: str, path: str, form: dict[str, str]) -> None:
            answers.append(client.call(method, path, **form)[0])

        def pull() -> None:
            client.control("clock", next="bar")

        pull()
        for _ in range(60):
            last = client.data("GET", "/quote/ltp", i="NSE:INFY")["NSE:INFY"]["last_price"] or 100.0
            step(dice, client.data("GET", "/orders"), last, ask, pull)
        return client.raw("GET", "/_exchange/state")[2], answers

    first, answers = play(5)
    assert first == play(5)[0]
    assert set(answers) >= {200, 400}
    assert not {500, 404} & set(answers)
