"""What an account has sent today counts against Kite's day budget, whichever process sent it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, DAY, Order, buy, sell

LONG = [CALM] * 12
OPEN = DAY + timedelta(hours=9, minutes=15)


def written(journal: Journal, clock: ManualClock, count: int, at: datetime) -> None:
    """The lines of a process that has made ``count`` order calls."""
    clock.set(at)
    for _ in range(count):
        journal.later("sending", {"action": "place", "ref": 0, "order_id": "", "tag": "", "fields": {}})
    journal.flush()


def calls_today(s: Any) -> int:
    return int(s.data._store.client.pace.orders_today)


def test_a_restart_remembers_the_order_calls_of_the_day(live, tmp_path):
    with Journal(tmp_path / "journal.sqlite", ManualClock(OPEN)) as journal:
        first = {
            1: lambda s: s.buy(size=1, exectype=Order.Limit, price=90.0),
            2: lambda s: s.cancel(s.given[0]),
            3: buy(size=2),
            4: lambda s: s.env.runstop(),
        }
        live.run(LONG, first, record=Record(journal))
        made = len(live.middle.calls())
        seen: list[int] = []
        live.run(None, {1: lambda s: seen.append(calls_today(s)), 2: lambda s: s.env.runstop()}, record=Record(journal))
    assert made == 3
    assert seen == [3]


@pytest.mark.parametrize(("day", "denied"), [(0, True), (-1, False)], ids=["of today", "of yesterday"])
def test_the_last_calls_of_the_day_are_kept_for_exits_after_a_restart_too(live, tmp_path, day, denied):
    clock = ManualClock(OPEN)
    with Journal(tmp_path / "journal.sqlite", clock) as journal:
        written(journal, clock, 4499, DAY + timedelta(days=day, hours=9))
        clock.set(OPEN)
        ran = live.run(LONG, {2: buy(size=2), 4: buy(size=1), 6: sell(size=2)}, record=Record(journal))
    taken = [(row["transaction_type"], row["quantity"]) for row in live.book()]
    assert taken == [("BUY", 2), *([] if denied else [("BUY", 1)]), ("SELL", 2)]
    assert (ran.story(1)[-1] == "Rejected") is denied
    assert not denied or "4500 order calls were made today and Kite allows 5000, 500" in ran.given[1].info.reason
