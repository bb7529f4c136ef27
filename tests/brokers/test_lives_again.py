"""A second and a third life of one account, and lives that end between two writes. The exchange's book is the judge."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, Order, buy
from tests.brokers.test_kite_again import Restored, twice
from tests.brokers.test_kite_placements import end, restless
from tests.brokers.test_outside import outside, working
from tests.brokers.wire import Live, done_but, passes

LONG = [CALM] * 45
STOP, LIMIT = Order.Stop, Order.Limit
NOON = datetime(2026, 11, 18, 12, 0)


def test_orders_of_the_second_life_are_ours_in_the_third(live: Live, tmp_path: Path) -> None:
    halt = {"broker.foreign": "halt"}
    twice(live, tmp_path, LONG, {2: buy(size=1), 4: end}, {2: buy(size=5), 4: end}, **halt)
    _, after = twice(live, tmp_path, None, {2: end}, {3: end}, **halt)
    assert [news for news in after.news if "from outside" in news] == []
    assert after.broker.ledger.latched is None
    assert after.position.size == live.held() == 6


@pytest.mark.parametrize("long", [True, False])
def test_a_close_waits_for_its_stop_after_a_restart_too(live: Live, tmp_path: Path, long: bool) -> None:
    """``cancel(stop); close()`` in one breath, while only what reduces passes."""
    closing: list[Any] = []

    def leaves(s: Any) -> None:
        s.broker.gate.pause("test", "nothing is to be opened")
        (stop,) = s.kept
        s.cancel(stop)
        closing.append(s.close())

    def protects(s: Any) -> Any:
        return (s.sell if long else s.buy)(size=5, exectype=STOP, price=90.0 if long else 110.0)

    twice(live, tmp_path, LONG, {2: lambda s: (s.buy if long else s.sell)(size=5), 3: protects, 6: end}, {3: leaves})
    assert not closing[0].info.get("denied")
    assert live.held() == 0
    assert [row["status"] for row in live.book()] == ["COMPLETE", "CANCELLED", "COMPLETE"]


def test_killed_before_a_new_placement_was_answered(live: Live, tmp_path: Path) -> None:
    """The order was cancelled to be placed anew: what it was before is over, and no word about the order."""
    path, copy = tmp_path / "journal.sqlite", tmp_path / "copy.sqlite"
    clock = ManualClock(NOON)

    def snap(middle: Any, asked: Any) -> Any:
        answer = middle.forward(asked)
        for side in ("", "-wal"):
            shutil.copy(f"{path}{side}", f"{copy}{side}")
        return answer

    live.middle.on("POST", passes, snap)
    with Journal(path, clock) as kept:
        live.run(LONG, {**restless(True), 25: end}, record=Record(kept))
    with Journal(copy, clock) as kept:
        after = live.run(None, {6: end}, record=Record(kept), strategy=Restored)
    assert [row["status"] for row in live.book()] == ["CANCELLED", "OPEN"]
    (order,) = after.kept
    assert order.alive()


@pytest.mark.parametrize("policy", ["adopt", "ignore"])
def test_killed_right_behind_what_others_traded(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Exits are made to fit what is left, whatever was written last."""
    path, clock, note = tmp_path / "journal.sqlite", ManualClock(NOON), Record.note

    class Dead(BaseException):
        pass

    def dies(self: Record, kind: str, broker: Any, **facts: Any) -> None:
        note(self, kind, broker, **facts)
        if kind == "foreign" or (kind == "fill" and broker.orders[facts["ref"]].info.get("foreign")):
            raise Dead

    plan = {2: buy(size=5), 3: lambda s: s.sell(size=5, exectype=STOP, price=90.0), 5: outside(live, "SELL", 2)}
    monkeypatch.setattr(Record, "note", dies)
    with Journal(path, clock) as kept, pytest.raises(Dead):
        live.run(LONG, plan, record=Record(kept), **{"broker.foreign": policy})
    monkeypatch.undo()
    with Journal(path, clock) as kept:
        after = live.run(None, {6: end}, record=Record(kept), strategy=Restored, **{"broker.foreign": policy})
    assert live.held() == 3
    assert after.position.size == (3 if policy == "adopt" else 5)
    assert working(live) == [3]


def test_a_change_whose_answer_is_lost_leaves_once(live: Live) -> None:
    live.middle.on("PUT", done_but(None))
    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 4: lambda s: s.broker.modify(s.given[0], price=91.0) and None}
    live.run(LONG[:10], plan)
    assert len(live.middle.calls("PUT")) == 1
    assert [row["price"] for row in live.book()] == [91]


LASTING: dict[str, dict[str, Any]] = {"carried": {"carry": True}, "till a day": {"valid": timedelta(days=5)}}


@pytest.mark.parametrize("name", LASTING)
def test_what_outlives_the_day_is_placed_in_the_morning_after_a_night_without_us(
    live: Live, tmp_path: Path, name: str
) -> None:
    """Kite's book of the new day does not have it; as if we had been there, it is placed again."""

    def rests(s: Any) -> Any:
        return s.buy(size=2, exectype=LIMIT, price=97.0, **LASTING[name])

    def night() -> None:
        live.exchange.steer.play_until("2026-11-19T09:00:00+05:30")

    hours = [CALM] * 7
    low = (100.0, 100.0, 96.0, 98.0)
    before, after = twice(live, tmp_path, [*hours, low, low], {3: rests, 5: end}, between=night, interval="60minute")
    assert before.given[0].alive()
    (order,) = after.kept
    assert order.getstatusname() == "Completed"
    assert after.position.size == live.held() == 2
    assert len({asked.form["tag"] for asked in live.middle.calls("POST")}) == 2
