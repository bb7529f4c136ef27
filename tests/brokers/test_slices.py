"""Orders above the freeze quantity: one here, several at Kite. The exchange freezes as Kite does, and is the judge."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from btkite.brokers.orders import spoken
from btkite.brokers.record import Record
from btkite.brokers.winding import Winding
from btkite.clock import ManualClock
from btkite.journal import Journal
from btkite.testing import bars as canned
from btkite.testing import run_strategy
from btkite.watch.stories import events_of_journal, find, stories
from tests.brokers.scene import CALM, DAY, UP, Order, Planned, buy, sell
from tests.brokers.test_permitted import INDEX, Described, kite, market
from tests.brokers.wire import TIMED_OUT, done_but, lost, passes

MOST = 1755
SIZE = 2 * MOST + 390
CUT = [MOST, MOST, 390]
REFUSED = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "No such luck."})
LIMIT = {"exectype": Order.Limit, "price": 99.0}
ROWS = [CALM] * 8


def quantities(exchange: Any, side: str = "BUY") -> list[int]:
    return [int(row["quantity"]) for row in exchange.orders() if row["transaction_type"] == side]


def go(live: Any, plan: Any, rows: Any = ROWS, **more: Any) -> Any:
    settings = {**kite(INDEX), **more.pop("settings", {})}
    rows = None if rows is None else market(INDEX, rows)
    return live.run(rows, plan, settings=settings, **{"broker.capital": 1e9, **more})


def bracket(strategy: Any) -> Any:
    return strategy.buy_bracket(
        size=SIZE, exectype=Order.Market, price=None, stopprice=99.0, limitprice=101.0, stopexec=Order.Stop
    )


PLANS = {
    "market": {2: buy(size=SIZE)},
    "round trip": {2: buy(size=SIZE), 4: lambda s: s.close()},
    "limit": {2: buy(size=SIZE, **LIMIT), 3: lambda s: s.broker.modify(s.given[0], price=100.5)},
    "stop": {2: buy(size=SIZE, exectype=Order.Stop, price=101.0)},
    "autoslice": {2: buy(size=SIZE, autoslice=True)},
    "grows": {
        2: buy(size=SIZE, **LIMIT),
        3: lambda s: s.broker.modify(s.given[0], size=4 * MOST),
        4: lambda s: s.broker.modify(s.given[0], size=MOST + 65),
        5: lambda s: s.broker.modify(s.given[0], price=100.0),
    },
    "bracket": {2: bracket},
}


@pytest.mark.parametrize("plan", list(PLANS.values()), ids=list(PLANS))
def test_a_large_order_is_the_same_in_every_mode(kite_exchange, plan):
    rows = [CALM] * 5 + [UP] * 3
    told = {}
    for mode in ("history", "paper", "live"):
        if mode == "history":
            ran = run_strategy(Described, market(INDEX, rows), cash=1e9, charges=True, plan=plan)
        else:
            ran = kite_exchange.run_strategy(
                Planned, market(INDEX, rows), mode=mode, cash=1e9, charges=True, plan=plan, settings=kite(INDEX)
            )
        one = ran.strategy
        first = min(ref for ref, _, _ in one.told)
        told[mode] = (
            [(ref - first, status, bar) for ref, status, bar in one.told],
            [(ref - first, *fill) for ref, *fill in one.fills],
            one.position.size,
            one.broker.getvalue(),
        )
    assert told["paper"] == told["live"]
    assert told["history"] == told["live"]
    assert all(quantity <= MOST for quantity in quantities(kite_exchange) + quantities(kite_exchange, "SELL"))
    assert {row["status"] for row in kite_exchange.requests() if row["method"] == "POST"} <= {200}
    held = sum(row["quantity"] for row in kite_exchange.positions())
    assert held == told["live"][2]


def test_each_slice_has_a_tag_and_a_record_of_its_own(live, tmp_path):
    record = Record(Journal(tmp_path / "journal.sqlite", ManualClock(DAY)))
    ran = go(live, {2: buy(size=SIZE, tag="mine")}, record=record)
    assert quantities(live.exchange) == CUT
    tags = [row["tag"] for row in live.book()]
    assert len(set(tags)) == 3
    assert all(tag.startswith("mine") and len(tag) <= 20 for tag in tags)
    assert [event.data["tag"] for event in record.journal.events("sending")] == tags
    assert [event.data["proposal"]["tag"] for event in record.journal.events("intent")] == tags
    assert not any("autoslice" in post.form for post in live.middle.calls("POST"))
    assert ran.story() == ["Submitted", "Accepted", "Partial", "Partial", "Completed"]
    assert ran.position.size == live.held() == SIZE


def test_a_slice_that_is_refused_leaves_the_others(live):
    live.middle.on("POST", passes, lost(REFUSED), passes)
    ran = go(live, {2: buy(size=SIZE)})
    assert quantities(live.exchange) == [MOST, 390]
    assert ran.position.size == live.held() == MOST + 390
    assert ran.story()[-1] == "Rejected"
    assert ran.given[0].executed.size == MOST + 390
    assert any("a slice of order" in one and "No such luck" in one for one in ran.news)


@pytest.mark.parametrize("fault", [done_but(TIMED_OUT), done_but(None)], ids=["400 timed out", "cut"])
def test_a_slice_whose_answer_was_lost_is_looked_up_by_its_own_tag(live, fault):
    live.middle.on("POST", passes, fault, passes)
    ran = go(live, {2: buy(size=SIZE)})
    assert quantities(live.exchange) == CUT
    assert ran.position.size == live.held() == SIZE
    assert ran.story()[-1] == "Completed"


def test_a_slice_that_never_arrived_is_given_up_and_its_order_ends_with_what_the_others_have(live):
    live.middle.on("POST", passes, lost(None), passes)
    ran = go(live, {2: buy(size=SIZE), 3: buy(size=65)})
    assert ran.given[1].info.denied_by == "uncertain"
    assert quantities(live.exchange) == [MOST, 390]
    assert ran.position.size == live.held() == MOST + 390
    assert ran.story()[-1] == "Rejected"
    assert "unresolved" in ran.given[0].info.reason


def test_an_exits_slice_that_never_arrived_is_sent_anew(live):
    live.middle.on("POST", passes, passes, passes, passes, lost(None), passes)
    ran = go(live, {2: buy(size=SIZE), 3: lambda s: s.close()})
    assert ran.story(1)[-1] == "Completed"
    assert sorted(quantities(live.exchange, "SELL")) == sorted(CUT)
    assert ran.position.size == live.held() == 0


def test_a_cancel_takes_all_slices_out(live):
    ran = go(live, {2: buy(size=SIZE, **LIMIT), 4: lambda s: s.cancel(s.given[0])})
    assert [row["status"] for row in live.book()] == ["CANCELLED"] * 3
    assert ran.story() == ["Submitted", "Accepted", "Canceled"]


def test_a_slice_whose_cancel_raced_a_fill_counts(live):
    live.middle.on("DELETE", passes, lost(REFUSED), lost(REFUSED))
    plan = {2: buy(size=SIZE, **LIMIT), 4: lambda s: s.cancel(s.given[0])}
    ran = go(live, plan, [CALM] * 4 + [(98.0, 98.0, 98.0, 98.0)] * 4)
    done = sum(int(row["filled_quantity"]) for row in live.book())
    assert 0 < done < SIZE
    assert ran.position.size == live.held() == done
    assert ran.story()[-1] == "Canceled"


def test_what_went_as_one_order_cannot_grow_beyond_one(live):
    plan = {2: buy(size=MOST, **LIMIT), 3: lambda s: s.broker.modify(s.given[0], size=SIZE)}
    ran = go(live, plan)
    assert "it went as one, give another" in ran.given[0].info.denied_change
    assert quantities(live.exchange) == [MOST]


def stop(strategy: Any) -> None:
    strategy.env.runstop()


@pytest.mark.parametrize("plan", [(), (2,)], ids=["fills", "cancel"])
def test_slices_come_back_after_a_restart(live, tmp_path, plan):
    def once() -> Record:
        return Record(Journal(tmp_path / "journal.sqlite", ManualClock(DAY)))

    first = go(live, {2: buy(size=SIZE, **LIMIT), 3: stop}, [CALM] * 8 + [(98.0, 98.0, 98.0, 98.0)] * 4, record=once())
    ref = first.given[0].ref
    assert quantities(live.exchange) == CUT
    plan = {number: lambda s: s.cancel(s.broker.orders[ref]) for number in plan}
    again = go(live, plan, None, record=once())
    assert quantities(live.exchange) == CUT
    statuses = {row["status"] for row in live.book()}
    last = [status for one, status, _ in again.told if one == ref][-1]
    if plan:
        assert (statuses, last, live.held()) == ({"CANCELLED"}, "Canceled", 0)
    else:
        assert (statuses, last, live.held()) == ({"COMPLETE"}, "Completed", SIZE)
    assert again.position.size == live.held()


@pytest.mark.parametrize("written", [1, 2, 3, 4])
def test_what_is_closed_in_slices_is_closed_also_if_we_die_between_two(live, tmp_path, monkeypatch, written):
    """Of a position that we close ourselves no part is left behind: it is one order, whose slices a restart finds."""
    note, count = Record.note, itertools.count(1)

    class Dead(BaseException):
        pass

    def dies(self: Record, kind: str, broker: Any, **facts: Any) -> None:
        note(self, kind, broker, **facts)
        if broker.position_of(INDEX).size and kind in ("order", "intent") and next(count) == written:
            raise Dead

    monkeypatch.setattr(Record, "note", dies)
    plan = {2: buy(size=SIZE), 4: lambda s: s.broker.close_out(INDEX, s) and None}
    clock = ManualClock(DAY)
    with Journal(tmp_path / "journal.sqlite", clock) as journal, pytest.raises(Dead):
        go(live, plan, record=Record(journal))
    monkeypatch.undo()
    with Journal(tmp_path / "journal.sqlite", clock) as journal:
        after = go(live, {}, None, record=Record(journal))
    assert after.position.size == live.held() == 0
    assert sorted(quantities(live.exchange, "SELL")) == sorted(CUT)


def test_the_story_of_an_order_that_went_in_slices_is_all_of_it(live, tmp_path):
    """Found by the tag and by the id of any slice; what was asked for is the whole, what was sent are the parts."""
    path = tmp_path / "journal.sqlite"
    with Journal(path, ManualClock(DAY)) as journal:
        ran = go(live, {2: buy(size=SIZE)}, record=Record(journal))
    (story,) = stories(events_of_journal(path))
    booked = live.book()
    assert (story.ref, story.filled, story.state) == (ran.given[0].ref, SIZE, "completed")
    assert story.proposal["quantity"] == SIZE
    assert sorted(story.ids) == sorted(row["order_id"] for row in booked)
    assert sorted(story.tags) == sorted(row["tag"] for row in booked)
    assert len(set(story.tags)) == 3
    assert sorted(event["proposal"]["quantity"] for event in story.of("intent")) == sorted(CUT)
    assert [event["fields"]["quantity"] for event in story.of("sending")] == CUT
    assert all(find([story], name) is story for row in booked for name in (row["tag"], row["order_id"]))


def test_a_person_is_told_of_a_slice_as_one_of_its_order():
    assert [spoken(ref) for ref in (7, -70_001, -120_010)] == ["order 7", "slice 1 of order 7", "slice 10 of order 12"]


def test_the_gravest_end_of_its_slices_is_the_orders(live):
    """One was refused; what is cancelled after that does not make it a cancelled one."""
    live.middle.on("POST", passes, lost(REFUSED), passes)
    ran = go(live, {2: buy(size=SIZE, **LIMIT), 4: lambda s: s.cancel(s.given[0])})
    assert [row["status"] for row in live.book()] == ["CANCELLED"] * 2
    assert ran.story()[-1] == "Rejected"
    assert "No such luck" in ran.given[0].info.reason


@pytest.mark.parametrize(("first", "reduces"), [(SIZE, True), (MOST, False)], ids=["an exit", "turns it round"])
def test_whether_a_slice_opens_is_what_its_order_does(live, tmp_path, first, reduces):
    """A part of what turns a position round might be taken for an exit, which passes where nothing else may."""
    first -= first % 65
    record = Record(Journal(tmp_path / "journal.sqlite", ManualClock(DAY)))
    go(live, {2: buy(size=first), 4: sell(size=SIZE)}, record=record)
    intents = [event.data["proposal"] for event in record.journal.events("intent")]
    assert [one["reduces"] for one in intents if one["side"] in ("SELL", -1)] == [reduces] * 3
    assert live.held() == first - SIZE


def test_the_cancellations_of_slices_that_were_refused_are_hurried_on(live):
    live.middle.on("DELETE", *[lost(REFUSED)] * 60)
    due: list[int] = []

    def wind(s: Any) -> None:
        Winding(s.broker).turn(flatten=False)
        due.extend(at - s.broker.now for at in s.broker._again.values())

    go(live, {2: buy(size=SIZE, **LIMIT), 3: lambda s: s.cancel(s.given[0]), 7: wind})
    assert due == [1, 1, 1]


def test_slices_that_are_held_for_the_morning_are_changed_here_alone(live):
    held: list[int] = []

    def night(s: Any) -> None:
        held.append(len(s.broker.held))
        assert s.broker.modify(s.given[0], price=98.5)

    rows = canned.from_rows([CALM] * 10, symbol=INDEX, day=DAY, interval="60minute")
    plan = {3: buy(size=SIZE, carry=True, product="NRML", **LIMIT), 7: night}
    live.run({INDEX: rows}, plan, settings=kite(INDEX), interval="60minute", **{"broker.capital": 1e9})
    assert held == [3]
    assert live.middle.calls("PUT") == []
    assert sorted((row["quantity"], row["price"]) for row in live.book()) == sorted((units, 98.5) for units in CUT)
