"""What is done about an order waits for what the account says, and is no more than the account bears."""

from __future__ import annotations

from datetime import timedelta

from btkite.checks.acts import ORDER, Act
from tests.checks.one_day import DOWN, FIRST, OneDay, held, resting, traded

LAPSES = "self.buy(size=10, exectype=bt.Order.Limit, price=990.0, valid=timedelta(minutes=2))"
SINCE = {"at": f"{FIRST.isoformat()}+05:30"}
AWAY = {"kind": "server_error", "times": 12, "match": {"method": "GET", "path": "/portfolio/positions", **SINCE}}
PROTECTED = "self.buy_bracket(size=10, exectype=bt.Order.Market, stopprice=990.0, limitexec=None)"
READ = ["GET /portfolio/positions", "GET /orders"]


def test_a_deadline_that_passed_while_nobody_ran_cancels_when_the_account_was_read(one_day: OneDay) -> None:
    """What is over by then may have traded meanwhile; and the first readings fail."""
    day = one_day(LAPSES, deaths=["DELETE /orders/regular/ID: not sent yet #1"], faults=[AWAY])
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    calls = [f"{row['method']} {row['path']}" for row in day.requests[day.began[1] :]]
    cancel = next(place for place, call in enumerate(calls) if call.startswith("DELETE"))
    answered = [row["status"] for row in day.requests[day.began[1] :]]
    assert set(READ) <= {call for call, status in zip(calls[:cancel], answered, strict=False) if status == 200}
    assert [row["status"] for row in day.orders] == ["CANCELLED"]


def test_what_a_bracket_leaves_without_an_exit_is_no_more_than_what_others_have_left_of_it(one_day: OneDay) -> None:
    """Four of ten were sold by hand, the stop became smaller, and sells what there is."""
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "SELL", "quantity": 4, "product": "MIS"}
    by_hand = Act(FIRST - timedelta(seconds=40), ORDER, fields)
    day = one_day(PROTECTED, DOWN, acts=[by_hand], broker__foreign="adopt")
    assert day.codes == (0,)
    assert (traded(day), held(day), resting(day)) == ([("BUY", 10), ("SELL", 4), ("SELL", 6)], 0, [])
