"""What is done about an order waits for what the account says, and is no more than the account bears."""

from __future__ import annotations

from datetime import timedelta

import pytest

from btkite.checks.acts import ORDER, Act
from tests.checks.one_day import BRACKET, DOWN, FIRST, OneDay, held, resting, traded

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


def by_hand() -> Act:
    """Four of ten are sold."""
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "SELL", "quantity": 4, "product": "MIS"}
    return Act(FIRST - timedelta(seconds=40), ORDER, fields)


@pytest.mark.parametrize("exits", ["one", "two"])
@pytest.mark.parametrize("bracket", [BRACKET, PROTECTED])
def test_a_bracket_closes_no_more_than_what_others_have_left_of_it(one_day: OneDay, bracket: str, exits: str) -> None:
    """Its stop became smaller, and sells what there is; then there is nothing for its target."""
    day = one_day(bracket, DOWN, acts=[by_hand()], broker__foreign="adopt", groups__exits=exits)
    assert day.codes == (0,)
    assert (traded(day), held(day), resting(day)) == ([("BUY", 10), ("SELL", 4), ("SELL", 6)], 0, [])


@pytest.mark.parametrize("exits", ["one", "two"])
def test_exits_become_smaller_when_the_process_dies_right_behind_what_others_traded(
    one_day: OneDay, exits: str
) -> None:
    deaths = ["journal fill: durable #2"]
    day = one_day(BRACKET, deaths=deaths, acts=[by_hand()], broker__foreign="adopt", groups__exits=exits)
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert held(day) == 6
    assert {int(row["quantity"]) for row in resting(day)} == {6}
