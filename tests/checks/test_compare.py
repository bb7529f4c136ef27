"""What the comparison finds: each promise, broken by hand, is told in a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from btkite.checks.boundaries import Boundary
from btkite.checks.compare import broken, differences, recovering, recovery
from btkite.checks.lives import Day, Death

KILL = Boundary("journal fill: durable", 1)


def bar(minute, life=0, **more):
    at = f"2026-11-18 09:{minute:02}:00"
    return {
        "kind": "bar",
        "life": life,
        "at": at,
        "position": {},
        "orders": [],
        "given": [],
        "value": 100.0,
        "worst": {},
        **more,
    }


def order(tag, filled=5, status="COMPLETE", price=100.0):
    return {
        "order_id": f"id-{tag}", "tag": tag, "status": status, "filled_quantity": filled, "average_price": price,
        "transaction_type": "BUY", "tradingsymbol": "X", "quantity": 5, "order_type": "LIMIT",
    }  # fmt: skip


def told(ref, status="Completed", **more):
    return {"ref": ref, "status": status, "filled": 5, "adopted": False, "given": True, **more}


def row(quantity):
    return {"exchange": "NSE", "tradingsymbol": "X", "quantity": quantity}


HELD = {"NSE:X": [5, 100.0]}
GOOD = Day(
    codes=(0,),
    bars=tuple(bar(minute, position=HELD) for minute in range(16, 30)),
    told=(told(1),),
    orders=(order("A"),),
    positions=(row(5),),
    intents=frozenset({"A"}),
    end={"position": HELD},
)


def at(minute):
    return datetime(2026, 11, 18, 9, minute)


def test_a_good_day_breaks_nothing_and_differs_from_itself_in_nothing():
    assert list(broken(GOOD)) == []
    assert list(differences(GOOD, GOOD, within=0)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"orders": (order("A"), order("A"))}, "2 orders of the tag A"),
        ({"orders": (order("A"), order("B"))}, "the journal announced none of its tag"),
        ({"orders": (order("A"), order(None))}, "the journal announced none of its tag"),
        ({"told": (told(1), told(1))}, "told 2 times that order 1 is completed"),
        ({"bars": (*GOOD.bars, bar(20, life=1, position=HELD))}, "next() was called 2 times"),
        ({"positions": (row(10),)}, "the strategy holds {'NSE:X': 5} at the end, and the account {'NSE:X': 10}"),
        ({"positions": ()}, "and the account nothing"),
    ],
)
def test_a_broken_promise_is_told(changed, said):
    (sentence,) = broken(replace(GOOD, **changed))
    assert said in sentence


def test_what_is_held_is_asked_of_the_run_as_it_ended_and_not_of_its_last_bar():
    """What filled behind the last bar is in both books."""
    assert list(broken(replace(GOOD, positions=(row(8),), end={"position": {"NSE:X": [8, 100.0]}}))) == []
    (sentence,) = broken(replace(GOOD, end={}))
    assert "the strategy holds nothing at the end" in sentence


def test_a_position_that_comes_back_as_a_completed_order_is_told_as_often_as_it_comes_back():
    adopted = told(9, adopted=True, given=False)
    assert list(broken(replace(GOOD, told=(told(1), adopted, adopted)))) == []


def killed(minute, **bars):
    """The good day, dead at ``minute``; ``bars`` replaces fields of those minutes."""
    seen = [replace_bar(one, bars) for one in GOOD.bars]
    return replace(GOOD, deaths=(Death(KILL, at(minute)),), bars=tuple(one for one in seen if one is not None))


def replace_bar(one, bars):
    name = f"m{one['at'][14:16]}"
    if name not in bars:
        return one
    return None if bars[name] is None else {**one, **bars[name]}


def test_what_differs_after_the_recovery_is_a_difference_and_before_it_is_none():
    late = killed(18, m24={"position": {}})
    (found,) = differences(GOOD, late, within=4)
    assert (found.at, found.what) == (at(24), "position")
    assert "5 at 100.0 without the kill, nothing with it" in str(found)
    assert list(differences(GOOD, killed(18, m22={"position": {}}), within=4)) == []
    assert [one.at for one in differences(GOOD, killed(18, m23={"position": {}}), within=4)] == [at(23)]


def test_a_bar_that_was_not_seen_is_a_difference():
    (found,) = differences(GOOD, killed(18, m25=None), within=4)
    assert (found.what, found.restarted) == ("next()", "not called")


def test_executions_are_compared_with_the_exchange_s_own_book():
    other = replace(killed(18), orders=(order("A", price=101.0),))
    (found,) = differences(GOOD, other, within=4)
    assert str(found) == "at the end, executions: BUY 5 X at 100.00 without the kill, BUY 5 X at 101.00 with it"
    left = replace(killed(18), orders=(order("A"), order("B", filled=0, status="OPEN")))
    assert [one.what for one in differences(GOOD, left, within=4)] == ["orders placed", "working orders"]


def test_an_order_that_was_placed_again_is_a_difference_even_if_it_was_cancelled():
    twice = replace(killed(18), orders=(order("A"), order("B", filled=0, status="CANCELLED")), intents=frozenset("AB"))
    assert list(broken(twice)) == []
    (found,) = differences(GOOD, twice, within=4)
    assert (found.what, found.restarted) == ("orders placed", "BUY X")


def trade(closed, pnl=5.0, opened=16):
    return {"key": "NSE:X", "long": True, "pnl": pnl, "opened": str(at(opened)), "closed": str(at(closed))}


def test_trades_are_the_same_with_the_same_profit_and_none_is_a_phantom():
    whole = replace(GOOD, closed=(trade(27),))
    assert list(differences(whole, replace(killed(18), closed=(trade(27),)), within=4)) == []
    wrong = differences(whole, replace(killed(18), closed=(trade(27, pnl=4.0),)), within=4)
    assert [(one.at, one.uninterrupted, one.restarted) for one in wrong] == [
        (at(28), "long NSE:X with ₹5.00", "none of the kind"),
        (at(28), "none of the kind", "long NSE:X with ₹4.00"),
    ]
    phantom = differences(GOOD, replace(killed(18), closed=(trade(19),)), within=4)
    assert [one.uninterrupted for one in phantom] == ["none of the kind"]


def test_a_trade_that_closed_when_nobody_could_tell_of_it_need_not_be_told():
    whole = replace(GOOD, closed=(trade(18),))
    assert list(differences(whole, killed(18), within=4)) == []


def test_of_a_trade_that_was_partly_closed_at_the_kill_only_the_rest_comes_back():
    part = {"exchange": "NSE", "tradingsymbol": "X", "transaction_type": "SELL", "fill_timestamp": str(at(17))}
    whole = replace(GOOD, closed=(trade(27),), trades=(part,))
    assert list(differences(whole, replace(killed(18), closed=(trade(27, pnl=2.0),)), within=4)) == []


def test_the_bar_of_the_very_moment_counts_as_one_that_may_not_have_been_seen():
    assert recovering(GOOD, killed(18), 2) == {at(18), at(19), at(20)}
    between = replace(GOOD, deaths=(Death(KILL, datetime(2026, 11, 18, 9, 18, 40)),))
    assert recovering(GOOD, between, 2) == {at(19), at(20)}


def test_recovery_is_counted_in_bars_from_the_last_death():
    assert recovery(GOOD, GOOD) == 0
    assert recovery(GOOD, killed(18)) == 0
    assert recovery(GOOD, killed(18, m19={"value": 99.0}, m21={"orders": ["x"]})) == 3
