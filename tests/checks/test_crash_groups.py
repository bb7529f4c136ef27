"""Killed between what was heard of an order and what its group asks for then: the next life asks for it."""

from __future__ import annotations

import pytest

from tests.checks.one_day import BOTH, BRACKET, DOWN, OneDay, held, resting, traded

TAKEN_BACK = "self.cancel(self.buy(size=10, exectype=bt.Order.Limit, price=990.0))"


@pytest.mark.parametrize("exits", ["one", "two"])
def test_the_other_exit_goes_when_the_process_dies_right_behind_the_fill_of_the_first(
    one_day: OneDay, exits: str
) -> None:
    day = one_day(BRACKET, DOWN, deaths=["journal fill: durable #2"], groups__exits=exits)
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert (traded(day), held(day), resting(day)) == ([("BUY", 10), ("SELL", 10)], 0, [])


@pytest.mark.parametrize("death", ["durable", "written, not durable"])
def test_what_was_exited_once_too_often_is_traded_back_when_the_process_dies_right_behind_that_fill(
    one_day: OneDay, death: str
) -> None:
    """Both exits have traded, as the word of the first came late."""
    day = one_day(BRACKET, BOTH, deaths=[f"journal fill: {death} #3"], late=True, groups__exits="two")
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert (traded(day), held(day)) == ([("BUY", 10), ("SELL", 10), ("SELL", 10), ("BUY", 10)], 0)


def test_exits_that_trade_once_too_often_know_their_entry_after_a_restart(one_day: OneDay) -> None:
    """It was over, and no order of the strategy's any more."""
    day = one_day(BRACKET, BOTH, deaths=["journal placed: durable #3"], late=True, groups__exits="two")
    assert (len(day.deaths), day.codes[-1]) == (1, 0), day.output[-600:]
    assert (traded(day), held(day)) == ([("BUY", 10), ("SELL", 10), ("SELL", 10), ("BUY", 10)], 0)


def test_an_order_that_was_taken_back_before_it_left_is_not_sent_by_the_next_life(one_day: OneDay) -> None:
    day = one_day(TAKEN_BACK, deaths=["journal cancel: durable #1"])
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert day.orders == ()
    assert [event.data["how"] for event in day.events if event.kind == "end"] == ["canceled"]
