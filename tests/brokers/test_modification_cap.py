"""Kite takes 25 changes of one order: before that it is cancelled and placed anew. The exchange counts them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, Order, buy

LONG = [CALM] * 60
CHANGES = range(3, 45)


class Died(BaseException):
    """The process ends here."""


class Mortal(Record):
    """Of a process that dies right before its ``DEATH``-th intent or its first cancel."""

    def __init__(self, journal: Journal, death: str) -> None:
        super().__init__(journal)
        self.death = death
        self.intents = 0

    def intent(self, *args: Any) -> None:
        self.intents += 1
        if self.death == "before it is placed anew" and self.intents == 2:
            raise Died
        super().intent(*args)

    def note(self, kind: str, *args: Any, **facts: Any) -> None:
        super().note(kind, *args, **facts)
        if self.death == "before the cancel" and kind == "replace":
            raise Died


def change(strategy: Any) -> None:
    strategy.broker.modify(strategy.given[0], price=90.0 + len(strategy) * 0.05)


def test_a_restless_order_is_replaced_before_kite_refuses_its_changes(live):
    plan = {2: buy(size=3, exectype=Order.Limit, price=90.0), **dict.fromkeys(CHANGES, change)}
    ran = live.run(LONG, plan)
    rows = live.book()
    assert [row["status"] for row in rows][:-1] == ["CANCELLED"] * (len(rows) - 1)
    assert len(rows) == 3
    assert {row["status"] for row in live.exchange.requests() if row["method"] in ("POST", "PUT", "DELETE")} == {200}
    assert rows[-1]["price"] == ran.given[0].created.price
    assert ran.story() == ["Submitted", "Accepted"]


@pytest.mark.parametrize("death", ["before the cancel", "before it is placed anew"])
def test_a_restart_in_the_middle_of_it_places_it_anew(live, tmp_path, death):
    clock = ManualClock(datetime(2026, 11, 18, 12, 0))
    plan = {2: buy(size=3, exectype=Order.Limit, price=90.0), **dict.fromkeys(CHANGES, change)}
    with Journal(tmp_path / "journal.sqlite", clock) as kept, pytest.raises(Died):
        live.run(LONG, plan, record=Mortal(kept, death))
    with Journal(tmp_path / "journal.sqlite", clock) as kept:
        ran = live.run(None, {}, record=Record(kept))
    rows = live.book()
    assert [row["quantity"] for row in rows] == [3, 3]
    assert rows[0]["status"] == "CANCELLED"
    assert rows[1]["price"] > rows[0]["price"]
    assert len({row["tag"] for row in rows}) == 2
    assert ran.broker.orders[min(ran.broker.orders)].alive()
