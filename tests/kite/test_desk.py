from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from btkite.clock import ExchangeClock, ManualClock, SystemClock
from btkite.errors import BtkiteError, OrderRefused, OrderUncertain, RuleViolation
from btkite.kite.client import KiteClient
from btkite.kite.desk import Cancel, Desk, Modify, Place, Request
from btkite.kite.failures import NOT_SENT
from btkite.kite.inbox import DeskReply, Inbox
from btkite.kite.pace import BUDGETS, Budget, Kind, Limit, Pace
from btkite.values import Instrument, OrderType, Proposal, Side
from tests.kite.fakes import KEY, NOON, TOKEN, Asked, FakeRest, Reply, data, error


def proposal(ref: int, *, reduces: bool = False) -> Proposal:
    return Proposal(
        ref=ref,
        instrument=Instrument("NSE", "INFY", 408065),
        side=Side.BUY,
        quantity=1,
        order_type=OrderType.LIMIT,
        product="MIS",
        variety="regular",
        price=100.0,
        tag=f"t{ref}",
        reduces=reduces,
    )


def place(ref: int, *, reduces: bool = False) -> Place:
    return Place(ref, proposal(ref, reduces=reduces))


class Replies:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.got: list[DeskReply] = []

    def wait(self, count: int, seconds: float = 10.0) -> list[DeskReply]:
        clock, end = SystemClock(), SystemClock().now() + timedelta(seconds=seconds)
        while len(self.got) < count:
            self.got += [event for event in self.inbox.take() if isinstance(event, DeskReply)]
            assert clock.now() < end, f"only {self.got} came"
            self.inbox.bell.wait(0.05)
        return self.got


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def replies(inbox: Inbox) -> Replies:
    return Replies(inbox)


@pytest.fixture
def make(rest: FakeRest, inbox: Inbox, clock: ManualClock) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def build(
        before_send: Callable[[Request], str | None] = lambda request: None, *, by_turns: bool = False, **changed: Any
    ) -> Desk:
        its_clock = changed.pop("clock", clock)
        client = KiteClient(rest.endpoint, KEY, TOKEN, armed=True, clock=its_clock, **changed)
        desk = Desk(client, inbox, its_clock, before_send, by_turns=by_turns)
        made.append(desk)
        return desk

    yield build
    for desk in made:
        desk.stop(0.0)


def echo(asked: Asked) -> Reply:
    """Kite's yes: an id made of the tag, so that a reply can be told from another."""
    return data({"order_id": f"id-{asked.form['tag']}"})


def test_each_request_gets_its_own_reply(rest: FakeRest, make: Callable[..., Desk], replies: Replies) -> None:
    rest.on("/orders/regular", echo)
    rest.on("/orders/regular/7", data({"order_id": "7"}))
    desk = make()
    desk.submit(place(1))
    replies.wait(1)
    desk.submit(Modify(1, "7", {"price": 101.0}))
    replies.wait(2)
    desk.submit(Cancel(1, "7"))
    assert replies.wait(3) == [
        DeskReply("place", 1, "id-t1"),
        DeskReply("modify", 1, "7"),
        DeskReply("cancel", 1, "7"),
    ]
    assert [asked.method for asked in rest.asked] == ["POST", "PUT", "DELETE"]


@pytest.mark.parametrize(
    ("budget", "order"),
    [
        (Budget((Limit(10, 1.1, 8),)), [1, 2, 3, 4, 5, 6]),  # nobody has to wait: first come, first served
        (Budget((Limit(2, 1.1, 1),)), [1, 6, 4, 5, 2, 3]),  # they do: cancels, then exits, then entries
    ],
)
def test_where_requests_must_wait_cancels_go_before_exits_and_exits_before_entries(
    rest: FakeRest,
    make: Callable[..., Desk],
    replies: Replies,
    clock: ManualClock,
    budget: Budget,
    order: list[int],
) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "0"}}, hold=held))
    rest.on("/orders/regular/9", data({"order_id": "9"}))
    desk = make(pace=Pace(clock, budgets={**BUDGETS, Kind.ORDER: budget}))
    desk.submit(place(1))
    rest.wait_for(1)
    for request in (place(2), place(3), place(4, reduces=True), Modify(5, "9", {"price": 1.0}), Cancel(6, "9")):
        desk.submit(request)
    rest.then(*(data({"order_id": str(number)}) for number in range(3)))
    held.set()
    assert [reply.ref for reply in replies.wait(6)] == order


def test_one_request_at_a_time(rest: FakeRest, make: Callable[..., Desk], replies: Replies) -> None:
    at_once: list[int] = []
    inside = threading.Semaphore(1)

    def answer(asked: Asked) -> Reply:
        at_once.append(int(inside.acquire(blocking=False)))
        try:
            return echo(asked)
        finally:
            inside.release()

    rest.on("/orders/regular", answer)
    desk = make()
    for ref in range(6):
        desk.submit(place(ref))
    replies.wait(6)
    assert at_once == [1] * 6


def test_the_record_is_written_right_before_the_first_byte(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    seen: list[tuple[Request, int]] = []

    def before_send(request: Request) -> None:
        seen.append((request, len(rest.asked)))

    rest.on("/orders/regular", echo)
    desk = make(before_send)
    first, second = place(1), place(2)
    desk.submit(first)
    desk.submit(second)
    replies.wait(2)
    assert seen == [(first, 0), (second, 1)]


def test_the_kill_state_is_seen_after_the_wait_for_the_rate_limit(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies, clock: ManualClock
) -> None:
    looked_at: list[float] = []

    def before_send(request: Request) -> None:
        looked_at.append((clock.now() - NOON).total_seconds())

    rest.on("/orders/regular", echo)
    desk = make(before_send)
    for ref in range(9):
        desk.submit(place(ref))
    replies.wait(9)
    assert looked_at == [0.0] * 8 + [0.88]
    assert clock.now() == NOON + timedelta(seconds=0.88)


def test_a_reason_before_sending_keeps_the_order_here(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    desk = make(lambda request: "the kill switch is on")
    desk.submit(place(1))
    (reply,) = replies.wait(1)
    assert isinstance(reply.error, OrderRefused)
    assert (str(reply.error), reply.error.error_type) == ("the kill switch is on", NOT_SENT)
    assert rest.asked == []


def test_a_record_that_cannot_be_written_keeps_the_order_here(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    def full(request: Request) -> None:
        raise OSError("no space left on device")

    rest.on("/orders/regular", echo)
    desk = make(full)
    desk.submit(place(1))
    desk.submit(place(2))
    for reply in replies.wait(2):
        assert isinstance(reply.error, OrderRefused)
        assert "no space left on device" in str(reply.error)
    assert rest.asked == []


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (error(400, "MarginException", "Insufficient funds."), OrderRefused),
        (error(503, "NetworkException", "down"), OrderUncertain),
        (Reply(status=0), OrderUncertain),
    ],
)
def test_an_error_is_a_reply_and_nothing_is_sent_again(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies, answer: Reply, meaning: type[BtkiteError]
) -> None:
    rest.then(answer, data({"order_id": "2"}))
    desk = make()
    desk.submit(place(1))
    desk.submit(place(2))
    first, second = replies.wait(2)
    assert type(first.error) is meaning
    assert (second.order_id, second.error) == ("2", None)
    assert len(rest.asked) == 2


def test_what_breaks_a_rule_is_a_reply(rest: FakeRest, make: Callable[..., Desk], replies: Replies) -> None:
    desk = make()
    desk.submit(Modify(1, "7", {"colour": "red"}))
    (reply,) = replies.wait(1)
    assert isinstance(reply.error, RuleViolation)


def test_a_fault_of_ours_is_an_uncertain_reply_and_the_desk_lives_on(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    rest.on("/orders/regular", echo)
    desk = make()
    desk.submit(Modify(1, "7", None))  # type: ignore[arg-type]
    desk.submit(place(2))
    replies.wait(2)
    by_ref = {reply.ref: reply for reply in replies.got}
    assert isinstance(by_ref[1].error, OrderUncertain)
    assert by_ref[2].order_id == "id-t2"


def test_the_used_up_day_refuses_and_says_so(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies, clock: ManualClock
) -> None:
    desk = make(pace=Pace(clock, used_today=5000))
    desk.submit(place(1))
    (reply,) = replies.wait(1)
    assert isinstance(reply.error, OrderRefused)
    assert "Kite allows 5000" in str(reply.error)
    assert reply.error.error_type == NOT_SENT
    assert rest.asked == []


def test_it_is_busy_from_submit_to_reply(rest: FakeRest, make: Callable[..., Desk], replies: Replies) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    desk = make()
    assert not desk.busy
    desk.submit(place(1))
    assert desk.busy
    assert not desk.idle()
    rest.wait_for(1)
    assert desk.busy
    held.set()
    replies.wait(1)
    clock, end = SystemClock(), SystemClock().now() + timedelta(seconds=5)
    while desk.busy:  # the reply comes first, then the flag: never the other way round
        assert clock.now() < end
    assert desk.idle()


def test_what_was_to_change_a_placement_that_is_over_does_not_change_the_next(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    desk = make()
    desk.submit(place(1))
    rest.wait_for(1)
    desk.submit(Modify(1, "", {"quantity": 5}))
    desk.drop(1)
    desk.submit(place(1))
    held.set()
    replies.wait(2)
    assert desk.stop(5.0)
    assert [reply.action for reply in replies.got] == ["place", "place"]


def test_a_placement_that_waits_can_be_withdrawn(rest: FakeRest, make: Callable[..., Desk], replies: Replies) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    desk = make()
    desk.submit(place(1))
    rest.wait_for(1)
    desk.submit(place(2))
    assert desk.withdraw(2)
    assert not desk.withdraw(2)
    assert not desk.withdraw(1)  # it is on the wire
    held.set()
    replies.wait(1)
    assert desk.stop(5.0)
    assert [reply.ref for reply in replies.got] == [1]
    assert len(rest.asked) == 1


def test_by_turns_nothing_leaves_before_the_turn_is_over(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    rest.on("/orders/regular", echo)
    desk = make(by_turns=True)
    assert not desk.send_off()
    desk.submit(place(1))
    desk.submit(place(2))
    assert desk.busy
    replies.inbox.bell.wait(0.1)  # time enough for a thread that would send it
    assert not rest.asked
    assert desk.withdraw(1)
    assert desk.send_off()
    assert not desk.send_off()
    assert [reply.ref for reply in replies.wait(1)] == [2]
    desk.submit(place(3))
    assert desk.stop()  # the end is the end of the last turn, too
    assert [reply.ref for reply in replies.wait(2)] == [2, 3]


def test_a_cancel_that_comes_while_an_entry_waits_goes_first(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    clock = SystemClock()
    pace = Pace(clock, budgets={**BUDGETS, Kind.ORDER: Budget((Limit(2, 0.6, 1),))})
    rest.on("/orders/regular", echo)
    rest.on("/orders/regular/9", data({"order_id": "9"}))
    desk = make(clock=clock, pace=pace)
    desk.submit(place(1))
    replies.wait(1)
    desk.submit(place(2))
    desk.submit(Cancel(3, "9"))
    assert [reply.ref for reply in replies.wait(3)] == [1, 3, 2]


def test_stop_sends_what_is_queued_and_refuses_what_comes_later(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    rest.on("/orders/regular", echo)
    desk = make()
    for ref in range(3):
        desk.submit(place(ref))
    assert desk.stop(10.0)
    desk.submit(place(9))
    got = replies.wait(4)
    assert [reply.order_id for reply in got[:3]] == ["id-t0", "id-t1", "id-t2"]
    assert isinstance(got[3].error, OrderRefused)
    assert len(rest.asked) == 3


def test_stop_refuses_what_it_could_not_send_in_time(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    desk = make()
    desk.submit(place(1))
    rest.wait_for(1)
    desk.submit(place(2))
    threading.Timer(0.2, held.set).start()
    assert not desk.stop(0.0)
    got = {reply.ref: reply for reply in replies.wait(2)}
    assert got[1].order_id == "1"
    assert isinstance(got[2].error, OrderRefused)
    assert len(rest.asked) == 1


def test_in_a_hurry_what_reduces_is_still_sent_and_no_entry_is(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held), data({"order_id": "3"}))
    rest.on("/orders/regular/9", data({"order_id": "9"}))
    desk = make()
    desk.submit(place(1))
    rest.wait_for(1)
    for request in (
        place(2),
        place(3, reduces=True),
        Modify(4, "9", {"quantity": 9}, reduces=False),
        Modify(5, "9", {"price": 1.0}),
        Cancel(6, "9"),
    ):
        desk.submit(request)
    threading.Timer(0.1, held.set).start()
    assert not desk.stop(10.0, entries=False)
    got = {reply.ref: reply.error for reply in replies.wait(6)}
    assert sorted(ref for ref, failed in got.items() if failed is None) == [1, 3, 5, 6]
    for ref in (2, 4):
        assert isinstance(got[ref], OrderRefused)
        assert got[ref].error_type == NOT_SENT
    assert [asked.form["tag"] for asked in rest.asked if asked.method == "POST"] == ["t1", "t3"]
    assert sorted(asked.method for asked in rest.asked[1:]) == ["DELETE", "POST", "PUT"]


def test_by_turns_the_end_sends_what_was_given_in_the_last_turn(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    rest.on("/orders/regular", echo)
    desk = make(by_turns=True)
    desk.submit(place(1))
    desk.submit(place(2, reduces=True))
    assert not desk.stop(10.0, entries=False)
    assert {reply.ref: reply.order_id for reply in replies.wait(2)} == {1: "", 2: "id-t2"}


def test_a_request_that_hangs_is_left_behind_after_the_patience_that_there_is(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    desk = make()
    desk.submit(place(1))
    rest.wait_for(1)
    desk.submit(place(2, reduces=True))
    ends: list[bool] = []
    stopping = threading.Thread(target=lambda: ends.append(desk.stop(0.0, patience=0.1)), daemon=True)
    stopping.start()
    stopping.join(10)
    assert ends == [False]  # although the first is still without its answer
    (reply,) = replies.wait(1)
    assert reply.ref == 2
    assert isinstance(reply.error, OrderRefused)
    held.set()
    assert [one.ref for one in replies.wait(2)] == [2, 1]
    assert len(rest.asked) == 1


def test_what_was_to_follow_a_placement_goes_with_it_when_it_is_taken_back(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    desk = make()
    desk.submit(place(1))
    rest.wait_for(1)
    for request in (place(2), Modify(2, "", {"price": 1.0}), Cancel(2, ""), Cancel(3, "9")):
        desk.submit(request)
    assert not desk.withdraw(1)  # it has left
    assert not desk.withdraw(3)  # nothing of it was to be placed
    assert desk.withdraw(2)
    assert desk.waiting() == [Cancel(3, "9")]
    held.set()
    assert desk.stop(10.0)
    assert [reply.ref for reply in replies.wait(2)] == [1, 3]
    assert [asked.method for asked in rest.asked] == ["POST", "DELETE"]


def test_what_met_a_dead_session_is_sent_first_of_its_lane_when_there_is_another(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    held = threading.Event()
    refusal = error(403, "TokenException", "Incorrect `api_key` or `access_token`.")
    refusal.hold = held
    rest.then(refusal, *(data({"order_id": str(number)}) for number in range(4)))
    desk = make()
    client, told = desk._client, threading.Event()
    client.guard(lambda reason: told.set())
    desk.submit(place(1))
    rest.wait_for(1)
    desk.submit(place(2))
    desk.submit(place(3, reduces=True))
    held.set()
    assert told.wait(10)
    while desk.busy:  # until it has been put back
        replies.inbox.bell.wait(0.01)
    assert {request.ref for request in desk.waiting()} == {1, 2, 3}
    assert desk.due is None
    assert len(rest.asked) == 1
    client.believe("token-of-now")
    desk.wake()
    assert [reply.ref for reply in replies.wait(3)] == [3, 1, 2]
    assert [asked.form["tag"] for asked in rest.asked] == ["t1", "t3", "t1", "t2"]


def test_a_new_token_that_comes_right_behind_the_refusal_sends_nothing_by_itself(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies
) -> None:
    """What is too old by now must be taken back first: only waking the desk lets the rest leave."""
    rest.then(error(403, "TokenException", "Incorrect `api_key` or `access_token`."), data({"order_id": "1"}))
    desk = make()
    client, ring = desk._client, replies.inbox.bell.ring
    client.guard(lambda reason: None)

    def believed() -> None:
        if client.refused:  # the desk's thread has just put the request back
            client.believe("token-of-now")
        ring()

    replies.inbox.bell.ring = believed  # type: ignore[method-assign]
    desk.submit(place(1))
    while client.access_token != "token-of-now":
        replies.inbox.bell.wait(0.01)
    desk.submit(place(2))  # whatever rings the desk's bell
    assert {request.ref for request in desk.waiting()} == {1, 2}
    assert not desk.busy
    assert desk.withdraw(1)
    desk.wake()
    assert [reply.ref for reply in replies.wait(1)] == [2]
    assert [asked.form["tag"] for asked in rest.asked] == ["t1", "t2"]


def test_dropping_changes_keeps_the_next_placement(rest: FakeRest, make: Callable[..., Desk], replies: Replies) -> None:
    rest.on("/orders/regular", echo)
    desk = make(by_turns=True)
    for request in (Modify(2, "7", {"price": 1.0}), Cancel(2, "7"), place(2), Cancel(3, "8")):
        desk.submit(request)
    desk.drop(2)
    assert desk.waiting() == [place(2), Cancel(3, "8")]


def test_what_follows_a_placement_that_waits_does_not_overtake_it(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies, clock: ManualClock
) -> None:
    """Its cancel would be of an order that is not there yet, and the order would stand."""
    held = threading.Event()
    rest.then(
        Reply({"status": "success", "data": {"order_id": "1"}}, hold=held),
        *(data({"order_id": str(number)}) for number in (2, 2, 2)),
    )
    desk = make(pace=Pace(clock, budgets={**BUDGETS, Kind.ORDER: Budget((Limit(2, 1.1, 1),))}))
    desk.submit(place(1))
    rest.wait_for(1)
    for request in (place(2), Modify(2, "", {"price": 1.0}), Cancel(2, "")):
        desk.submit(request)
    held.set()
    assert [reply.error for reply in replies.wait(4)] == [None] * 4
    assert [asked.method for asked in rest.asked] == ["POST", "POST", "DELETE", "PUT"]


def test_a_call_counts_from_its_answer_however_long_it_was_on_its_way(
    rest: FakeRest, make: Callable[..., Desk], replies: Replies, clock: ManualClock
) -> None:
    for failed in (False, True):
        held = threading.Event()
        answer = error(400, "InputException", "no") if failed else data({"order_id": "1"})
        answer.hold = held
        rest.then(answer)
        pace = Pace(clock, budgets={**BUDGETS, Kind.ORDER: Budget((Limit(1, 10.0, 1),))})
        desk = make(pace=pace)
        desk.submit(place(1))
        rest.wait_for(1 + failed)
        clock.advance(3.0)
        held.set()
        replies.wait(1 + failed)
        assert pace.ready_at(Kind.ORDER) == clock.now() + timedelta(seconds=10)


def test_in_lock_step_an_order_that_waits_lets_the_exchange_move_on(
    rest: FakeRest, inbox: Inbox, make: Callable[..., Desk], replies: Replies
) -> None:
    """The ninth entry of one instant is due 0.88 s of market time later, and goes when the clock is there."""
    market = {"now": NOON}

    def clock_answer(asked: Asked) -> Reply:
        import json
        from datetime import datetime

        body = json.loads(asked.body)
        if "until" in body:
            market["now"] = datetime.fromisoformat(body["until"]).replace(tzinfo=None)
        return data({"now": market["now"].isoformat() + "+05:30", "speed": 0, "sent": {}, "done": False})

    rest.on("/_exchange/clock", clock_answer)
    rest.on("/orders/regular", echo)
    clock = ExchangeClock(rest.root, lockstep=True)
    desk = make(clock=clock)
    clock.idle = lambda: not desk.busy and not len(inbox)
    for ref in range(9):
        desk.submit(place(ref))
    replies.wait(8)
    wall = SystemClock()
    end = wall.now() + timedelta(seconds=10)
    while desk.busy:
        assert wall.now() < end
    assert desk.due == NOON + timedelta(seconds=0.88)
    assert not desk.idle()
    clock.wait(inbox.bell, NOON)  # a ring may be left over; the exchange does not move for it
    while clock.now() < desk.due:
        clock.wait(inbox.bell, desk.due)
    replies.wait(9)
    assert clock.now() == NOON + timedelta(seconds=0.88)
    clock.close()
