"""What an account's books say of a position while they disagree: nothing is sold twice, nothing is left unseen."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from btkite.errors import OrderRefused, OrderUncertain
from btkite.journal import Journal
from btkite.kite.failures import NOT_SENT
from btkite.kite.inbox import DeskReply
from btkite.testing import KiteExchange
from btkite.values import OrderUpdate, Position
from btkite.watch.sweeping import Closing, Sweep, certain, in_step, traded_by, unseen

NOW = datetime(2026, 11, 18, 10, 0)
SLOT = ("NSE:INFY", "MIS")


def position(quantity: int, overnight: int = 0, product: str = "MIS") -> Position:
    return Position("NSE", "INFY", product, quantity, 100.0, overnight)


def order(number: int, side: str, filled: int, ago: int, product: str = "MIS") -> OrderUpdate:
    return OrderUpdate(
        order_id=str(number), status="COMPLETE", exchange="NSE", tradingsymbol="INFY", transaction_type=side,
        product=product, quantity=filled, filled_quantity=filled, exchange_time=NOW - timedelta(seconds=ago),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "orders", "expected"),
    [
        (position(10), [order(1, "BUY", 10, 500)], 10),
        (position(10), [order(1, "BUY", 10, 500), order(2, "SELL", 10, 3)], 0),  # sold a moment ago by the run
        (position(10), [order(1, "BUY", 10, 500), order(2, "SELL", 4, 3)], 6),
        (position(4), [order(1, "BUY", 10, 3)], 4),  # the rest is not shown yet
        (position(10), [order(1, "BUY", 10, 500), order(2, "SELL", 10, 90)], 10),  # no lag lasts so long
        (position(-10), [order(1, "SELL", 10, 500), order(2, "BUY", 10, 3)], 0),
        (position(-10), [order(1, "SELL", 10, 500), order(2, "BUY", 7, 3)], -3),
        (position(5, overnight=5), [], 5),
        (position(8, overnight=5), [order(1, "BUY", 3, 3)], 8),
        (position(-6), [order(1, "BUY", 6, 3)], 0),  # they contradict each other: it is looked at again
    ],
)
def test_what_both_books_say_may_be_closed(shown: Position, orders: list[OrderUpdate], expected: int) -> None:
    assert certain(shown, traded_by(orders).get(SLOT), NOW) == expected


@pytest.mark.parametrize(
    ("positions", "orders", "told"),
    [
        ([], [order(1, "BUY", 10, 3)], 1),
        ([position(0)], [order(1, "SELL", 10, 3)], 1),
        ([position(0)], [order(1, "BUY", 10, 500), order(2, "SELL", 10, 3)], 0),
        ([position(10)], [order(1, "BUY", 10, 3)], 0),  # told as a position
        ([position(0)], [order(1, "BUY", 10, 90)], 0),  # converted, or closed elsewhere
        ([], [order(1, "SELL", 10, 3, product="CNC")], 0),  # from holdings
        ([], [order(1, "BUY", 10, 3, product="CNC")], 1),
        # bought as MIS, converted, sold as NRML: flat
        ([position(0), position(0, product="NRML")], [order(1, "BUY", 10, 9), order(2, "SELL", 10, 3, "NRML")], 0),
    ],
)
def test_what_the_positions_do_not_show_yet_is_still_open(positions: Any, orders: Any, told: int) -> None:
    assert len(unseen(positions, traded_by(orders), NOW)) == told


def test_a_conversion_is_no_lag() -> None:
    """10 of 15 held over night became MIS, and 5 were bought just now: both books agree on 20."""
    rows = [position(10), position(10, overnight=15, product="NRML")]
    bought = [order(1, "BUY", 5, 3, product="NRML")]
    assert in_step(rows, traded_by(bought)) == {"NSE:INFY"}
    assert in_step(rows[:1], traded_by(bought)) == set()


@pytest.mark.parametrize(
    ("error", "given_again"),
    [
        (None, False),
        (OrderUncertain("no answer in time", code=0, error_type="NoAnswer"), False),
        (OrderUncertain("not sent: no route", code=0, error_type=NOT_SENT), True),
        (OrderRefused("Insufficient funds", code=400, error_type="MarginException"), True),
    ],
    ids=["accepted", "the answer was lost", "never left", "refused"],
)
def test_a_close_of_which_kite_may_know_is_not_given_again(
    kite_exchange: KiteExchange, tmp_path: Path, error: Any, given_again: bool
) -> None:
    store = kite_exchange.store("live")
    with Journal(tmp_path / "journal.sqlite", store.clock) as journal:
        one = Sweep(store, journal)
        one._closing[1] = Closing(SLOT, "killRUNRUNRU000001", at=NOW)
        one._hear(DeskReply("place", 1, "", error))
        assert (1 not in one._closing) is given_again
