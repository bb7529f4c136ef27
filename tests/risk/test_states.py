"""Loss limits and the gate's states: passed at a mark, for the day or for good, near, armed again."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from btkite.risk.gate import RiskGate, State
from btkite.risk.ledger import Ledger
from btkite.risk.rules import build_rules
from btkite.values import Denial, Side
from tests.contract.test_rules import SBIN, entry

EXIT = entry(800.0, 9, 100, SBIN, Side.SELL)
OFF = {"max_portfolio_loss_pct": None}


def gate(steps: dict[str, Any] | None = None, **limits: Any) -> RiskGate:
    """Ten lakh, of which 1,000 shares of 800 ₹ are held."""
    book = Ledger(1_000_000.0)
    book.roll(date(2026, 11, 20))
    book.fill(SBIN, Side.BUY, 1_000, 800.0)
    return RiskGate(build_rules({**OFF, **limits}), book, steps=steps)


def lose(judge: RiskGate, rupees: float) -> Denial | None:
    judge.ledger.mark(SBIN.key, 800.0 - rupees / 1_000)
    judge.ledger.observe()
    return judge.watch()


def test_a_daily_loss_is_passed_at_a_mark_and_holds_for_its_day() -> None:
    judge = gate(max_daily_loss=5_000)
    assert lose(judge, 5_000.0) is None
    assert judge.state is State.ACTIVE
    assert judge.stops == ()
    passed = lose(judge, 5_000.01)
    assert passed == Denial(
        "MaxDailyLoss",
        "₹5,000.01 were lost today, the limit is ₹5,000.00; only orders that reduce the position pass for the rest "
        "of the day",
        "risk.max_daily_loss",
    )
    assert judge.ledger.stopped is passed
    assert lose(judge, 0.0) is None  # it comes back, and the day stays lost
    assert judge.state is State.REDUCING
    assert judge.reason == passed.reason
    assert judge.stops == (passed,)
    assert judge.judge([entry(1.0)]) == passed
    assert judge.judge([EXIT]) is None
    judge.ledger.roll(date(2026, 11, 23))
    assert judge.state is State.ACTIVE
    assert judge.reason == ""
    assert judge.judge([entry(1.0)]) is None


@pytest.mark.parametrize("limits", [{"max_drawdown_pct": 0.5}, {"max_portfolio_loss_pct": 0.5}])
def test_a_loss_for_good_halts_until_a_person_arms(limits: dict[str, Any]) -> None:
    judge = gate(**limits)
    assert lose(judge, 5_000.0) is None
    passed = lose(judge, 5_000.01)
    assert passed is judge.ledger.latched
    assert passed is not None
    assert passed.reason.endswith("until a person resumes trading (end the run, then `btkite resume`)")
    judge.ledger.roll(date(2026, 11, 23))
    assert lose(judge, 0.0) is None
    assert (judge.state, judge.reason) == (State.HALTED, passed.reason)
    assert judge.judge([entry(1.0)]) == passed
    judge.resume()
    assert judge.state is State.HALTED
    judge.rearm()
    assert judge.state is State.ACTIVE
    assert judge.ledger.peak == judge.ledger.value
    assert judge.judge([entry(1.0)]) is None


def test_each_limit_is_passed_once_and_the_day_before_the_account() -> None:
    judge = gate(max_daily_loss=1_000, max_daily_loss_pct=0.05, max_portfolio_loss_pct=0.1)
    first = lose(judge, 2_000.0)
    assert first is not None
    assert first.key == "risk.max_daily_loss"
    second = judge.watch()
    assert second is not None
    assert second.key == "risk.max_portfolio_loss_pct"
    assert judge.watch() is None
    assert judge.stops == (second, first)
    assert judge.reason == second.reason
    assert judge.state is State.HALTED
    assert judge.floors() == []


def test_near_a_limit_only_exits_pass_while_it_is_so() -> None:
    judge = gate({"reduce_at_pct": 80}, max_daily_loss=5_000)
    lose(judge, 4_000.0)
    assert (judge.state, judge.reason) == (State.ACTIVE, "")
    assert judge.judge([entry(1.0, 50)]) is None
    lose(judge, 4_000.01)
    assert judge.state is State.REDUCING
    denial = judge.judge([entry(1.0)])
    assert denial == Denial(
        "MaxDailyLoss",
        "more than 80 % of max daily loss ₹5,000.00 are used up; only orders that reduce the position pass",
        "risk.reduce_at_pct",
    )
    assert judge.reason == denial.reason
    assert judge.stops == ()
    assert judge.judge([EXIT]) is None
    lose(judge, 3_000.0)
    assert judge.state is State.ACTIVE


def test_what_is_held_is_closed_if_the_configuration_says_so() -> None:
    for steps, closes in (
        ({"on_daily_loss": "flatten"}, True),
        ({"on_daily_loss": "keep"}, False),
        ({"on_halt": "flatten"}, False),
        ({}, False),
        (None, False),
    ):
        judge = gate(steps, max_daily_loss=5_000)
        assert judge.closing is None
        passed = lose(judge, 6_000.0)
        assert judge.closing is (passed if closes else None)
        denial = judge.judge([EXIT])
        assert (denial is not None) is closes
        if denial is not None and passed is not None:
            assert denial.reason == f"{passed.reason}; what is held is being closed"


def test_a_halt_closes_by_a_key_of_its_own() -> None:
    judge = gate({"on_halt": "flatten", "on_daily_loss": "keep"}, max_daily_loss=1_000, max_portfolio_loss_pct=0.5)
    lose(judge, 2_000.0)
    assert judge.closing is None
    passed = lose(judge, 6_000.0)
    assert judge.closing is passed is judge.ledger.latched
    both = gate({"on_daily_loss": "flatten"}, max_daily_loss=1_000, max_portfolio_loss_pct=0.1)
    lose(both, 2_000.0)
    both.watch()
    assert both.closing is both.ledger.stopped


def test_what_something_else_has_shut_closes_nothing() -> None:
    judge = gate({"on_halt": "flatten"}, max_portfolio_loss_pct=5)
    judge.ledger.latched = Denial("foreign", "others trade here", "broker.foreign")
    assert judge.state is State.HALTED
    assert judge.stops == ()
    assert judge.closing is None
    assert judge.judge([entry(1.0)]) == judge.ledger.latched
    assert judge.judge([EXIT]) is None


def test_a_limit_passed_by_an_order_is_passed_for_the_day_too() -> None:
    judge = gate(max_daily_loss=5_000)
    judge.ledger.mark(SBIN.key, 790.0)
    denial = judge.judge([entry(1.0)])
    assert denial is judge.ledger.stopped
    assert denial is not None
    assert judge.watch() is None


def test_the_floor_is_the_value_at_which_a_limit_is_reached() -> None:
    judge = gate(max_daily_loss=5_000, max_drawdown_pct=1, max_portfolio_loss_pct=5)
    assert judge.floors() == [(995_000.0, False), (990_000.0, True), (950_000.0, False)]
    lose(judge, 6_000.0)
    assert judge.floors() == [(990_000.0, True), (950_000.0, False)]


def test_a_book_that_is_put_in_remembers_as_long_as_rules_want() -> None:
    judge = gate(max_orders_per_minute=3, duplicate_window=90)
    assert judge.ledger.remembers == 90.0
    judge.ledger = Ledger(1.0)
    assert judge.ledger.remembers == 90.0
    assert gate().ledger.remembers == -1.0
    assert gate(max_orders_per_minute=3).ledger.remembers == 60.0


def test_a_smaller_size_cures_only_what_looks_at_sizes() -> None:
    judge = gate(max_orders_per_minute=3, no_entries_after="12:00", max_order_value=5, allowed_symbols=["NSE:X"])
    keys = [rule.key for rule in judge.sized if rule.key]
    assert keys == ["risk.allowed_symbols", "risk.max_order_value"]


def test_the_words_of_a_gate_that_is_shut() -> None:
    judge = gate()
    judge.reduce_only("the clock is off")
    assert judge.judge([entry(1.0)]) == Denial(
        "gate reducing", "the clock is off: only orders that reduce the position pass"
    )
    judge.pause("one", "first")
    judge.pause("two", "second")
    assert judge.reason == "the clock is off"
    judge.resume()
    assert judge.reason == "first; second"
    assert judge.judge([entry(1.0)]) == Denial("one", "first; second: only orders that reduce the position pass")
    judge.unpause("one")
    judge.unpause("nobody")
    judge.unpause("two")
    judge.pause("slow", "it is silent", SBIN.key)
    more = entry(800.0, 3, 1, SBIN)
    assert judge.judge([more]) == Denial("slow", "it is silent: only orders that reduce the position pass")
    judge.unpause("slow")
    judge.halt("enough")
    assert judge.reason == "enough"
    judge.ledger.latched = Denial("MaxDrawdownPct", "a lot is lost")
    assert judge.reason == "enough"
    assert judge.judge([entry(1.0)]) == Denial("gate halted", "enough: only orders that reduce the position pass")
    stated = RiskGate((), Ledger(1.0), state=State.HALTED)
    assert stated.judge([entry(1.0)]) == Denial(
        "gate halted", "the gate is halted: only orders that reduce the position pass"
    )


def test_a_gate_that_breaks_says_what_broke_and_counts_nothing() -> None:
    judge = gate()
    before = judge.ledger.checkpoint()
    denial = judge.judge([entry(1.0), None])  # type: ignore[list-item]
    assert denial is not None
    assert denial.rule == "RiskGate"
    what = "AttributeError: 'NoneType' object has no attribute 'ref'"
    assert denial.reason == f"the gate could not judge the order ({what})"
    assert judge.ledger.checkpoint() == before
    assert (judge.judged, judge.denied) == (2, 2)


def test_the_first_member_that_is_denied_ends_the_group() -> None:
    judge = gate(max_order_value=100)
    denial = judge.judge([entry(101.0, 1), entry(10.0, 2)])
    assert denial is not None
    assert denial.key == "risk.max_order_value"
    assert not judge.ledger.is_working(2)
    assert judge.summary() == "2 of 2 orders denied: max order value ₹100.00 (risk.max_order_value)"


def test_one_order_is_one_order() -> None:
    judge = gate(max_order_value=100)
    judge.judge([entry(101.0)])
    assert judge.summary() == "1 of 1 order denied: max order value ₹100.00 (risk.max_order_value)"


def test_a_lack_of_money_names_the_purse() -> None:
    ours = gate()
    ours.judge([entry(300_000.0)])
    assert ours.summary() == "1 of 1 order denied: funds (broker.capital)"
    for limit, purse in (
        (100.0, "the margin at Kite"),
        (200_000.0, "broker.capital"),
        (199_999.0, "the margin at Kite"),
    ):
        kites = gate()
        kites.ledger.funds_limit = limit
        kites.judge([entry(300_000.0)])
        assert kites.summary() == f"1 of 1 order denied: funds ({purse})"
    beside = gate()
    assert beside.judge([entry(150_000.0, 1)]) is None
    beside.ledger.funds_limit = 50_000.0  # what working entries need is not counted twice
    beside.judge([entry(60_000.0, 2)])
    assert beside.summary() == "1 of 2 orders denied: funds (broker.capital)"


def test_a_refusal_of_others_has_their_name() -> None:
    judge = gate()
    denial = judge.deny(Denial("warmup", "not yet", "data.warmup"), 2)
    assert denial.rule == "warmup"
    judge.deny(Denial("parent", "it is gone"))
    assert judge.summary() == "3 of 3 orders denied: 2 × warmup (data.warmup), 1 × parent"
