"""A process that ends right after it has written down what an exit has filled: the next one does what followed from it.

The exchange's own book is the judge."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM
from tests.brokers.test_exits import HOLD, NEAR, bracket, exits, pair
from tests.brokers.test_exits_partly_filled import RISE, mirrored, offered, short, takes
from tests.brokers.test_kite_again import Restored, twice

FLAT = [(101.0,) * 4] * 5
LOW = (101.0, 101.0, 96.0, 96.0)
ONE = {"groups.exits": "one"}


class Died(BaseException):
    """The process ends here."""


class Mortal(Record):
    """Of a process that dies when its ``number``-th fill (or line of another ``kind``) is durable."""

    def __init__(self, journal: Journal, number: int = 1, kind: str = "fill") -> None:
        super().__init__(journal)
        self.left, self.kind = number, kind

    def note(self, kind: str, *args: Any, **facts: Any) -> None:
        super().note(kind, *args, **facts)
        self.left -= kind == self.kind
        if not self.left:
            self.flush()
            raise Died


def dies(live: Any, tmp_path: Any, rows: Any, plan: Any, then: Any, *, fill: int = 2) -> Any:
    """The life after the one that died with its ``fill``-th fill."""
    clock = ManualClock(datetime(2026, 11, 18, 12, 0))
    with Journal(tmp_path / "journal.sqlite", clock) as kept, pytest.raises(Died):
        live.run(rows, plan, record=Mortal(kept, fill), settings={"check_trigger_side": True}, **ONE)
    with Journal(tmp_path / "journal.sqlite", clock) as kept:
        return live.run(None, then, record=Record(kept), strategy=Restored, **ONE)


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_after_a_part_of_the_target_the_stop_stands_for_the_rest(live, tmp_path, long):
    """The watched stop had not been made smaller yet."""
    seen: list[Any] = []
    rows = [*RISE, HOLD, *FLAT, LOW, CALM]
    plan = {2: bracket() if long else short(), 6: takes(live, 4, 103.0 if long else 97.0)}
    then = {3: lambda s: seen.append((offered(live, "SELL" if long else "BUY"), live.held()))}
    after = dies(live, tmp_path, rows if long else mirrored(rows), plan, then)
    assert seen == [([("SL-M", 6)], 6 if long else -6)]
    assert after.position.size == live.held() == 0
    assert {order.getstatusname() for order in after.kept} == {"Completed", "Canceled"}


def test_after_the_target_the_stop_goes(live, tmp_path):
    plan = {2: bracket(), 6: takes(live, 10)}
    after = dies(live, tmp_path, [*RISE, HOLD, *FLAT, LOW, CALM], plan, {})
    assert [order.getstatusname() for order in after.kept] == ["Canceled"]
    assert exits(live) == [("LIMIT", "COMPLETE", 10, 10)]
    assert after.position.size == live.held() == 0


@pytest.mark.parametrize("units", [4, 10], ids=["a part", "all"])
def test_after_one_of_an_oco_pair_has_traded_the_other_goes(live, tmp_path, units):
    """Once one has executed, the other is taken back, as backtrader does; it never has a place at Kite, neither while
    the process falls nor before the next one has read the account."""
    plan = {2: lambda s: s.buy(size=10), 4: pair(), 8: takes(live, units)}
    after = dies(live, tmp_path, [*[CALM] * 6, NEAR, HOLD, *FLAT, LOW, CALM], plan, {})
    stop = next(order for order in after.kept if order.exectype != order.Limit)
    assert stop.getstatusname() == "Canceled"
    assert [row[0] for row in exits(live)] == ["LIMIT"]
    assert [asked.form["order_type"] for asked in live.middle.calls("PUT")] == ["LIMIT"]
    assert after.position.size == live.held() == 10 - units


def test_an_entry_that_had_filled_and_no_more_has_its_exits(live, tmp_path):
    after = dies(live, tmp_path, [CALM] * 9, {2: bracket()}, {}, fill=1)
    assert offered(live) == [("SL-M", 10)]
    assert [order.alive() for order in after.kept] == [True, True]
    assert after.position.size == live.held() == 10


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_if_both_exits_have_traded_while_nobody_ran_the_surplus_is_traded_back(live, tmp_path, long):
    """Each rested at Kite; the entry was over before this run."""

    def both() -> None:
        for price in (103.5, 97.5) if long else (96.5, 102.5):
            live.exchange.steer.put_price("NSE:TEST", price)
        assert live.held() == (-10 if long else 10)

    plan = {2: bracket() if long else short(), 5: lambda s: s.env.runstop()}
    _, after = twice(live, tmp_path, [CALM] * 10, plan, between=both, **{"groups.exits": "two"})
    assert [order.getstatusname() for order in after.kept] == ["Completed", "Completed"]
    assert any("were exited once too often" in news for news in after.news)
    assert after.position.size == live.held() == 0


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_what_a_second_exit_has_traded_is_traded_back_although_all_its_orders_are_over(live, tmp_path, long):
    """Both trade before either is heard of; the process ends when the second is written down, and nothing lives."""

    def both(s: Any) -> None:
        for price in (103.5, 97.5) if long else (96.5, 102.5):
            live.exchange.steer.put_price("NSE:TEST", price)

    clock = ManualClock(datetime(2026, 11, 18, 12, 0))
    two = {"groups.exits": "two"}
    with Journal(tmp_path / "journal.sqlite", clock) as kept, pytest.raises(Died):
        live.run([CALM] * 10, {2: bracket() if long else short(), 5: both}, record=Mortal(kept, 3), **two)
    assert live.held() == (-10 if long else 10)
    with Journal(tmp_path / "journal.sqlite", clock) as kept:
        after = live.run(None, {}, record=Record(kept), strategy=Restored, **two)
    assert [news for news in after.news if "from outside" in news] == []
    assert after.position.size == live.held() == 0
