"""Whose is what: pure, and true whatever was lost, repeated or told in another order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.orders.progress import Progress, apply, apply_trade
from btkite.orders.reconcile import (
    Exit,
    Share,
    Whose,
    account_of,
    attribute,
    closable,
    divide,
    gaps,
    trim,
    whose,
)
from btkite.values import Fill, OrderUpdate, Position

NOON = datetime(2026, 11, 18, 12)
KEY = "NSE:TEST"
MIS, CNC = (KEY, "MIS"), (KEY, "CNC")


def update(
    order_id: str = "1", filled: int = 0, *, tag: str = "", status: str = "OPEN", second: int = 0
) -> OrderUpdate:
    return OrderUpdate(
        order_id, status, "NSE", "TEST", "BUY", quantity=10, filled_quantity=filled,
        average_price=100.0 if filled else 0.0, tag=tag, exchange_time=NOON + timedelta(seconds=second),
    )  # fmt: skip


# ---- whose an order is ----


@pytest.mark.parametrize(
    ("tag", "meaning"),
    [
        ("RUNNNNNN000001", Whose.OURS),
        ("RUNNNNNN000002", Whose.PAST),
        ("swing" + "RUNNNNNN000003", Whose.PAST),
        ("OTHERRUN000001", Whose.FOREIGN),
        ("RUNNNNNN", Whose.FOREIGN),  # a label that happens to be a run's name
        ("", Whose.FOREIGN),
    ],
)
def test_an_orders_tag_says_whose_it_is(tag, meaning):
    assert whose(update(tag=tag), {"7"}, {"RUNNNNNN000001"}, {"RUNNNNNN"}) is meaning
    assert whose(update("7", tag=tag), {"7"}, {}, {}) is Whose.OURS


# ---- what the account holds ----


def test_shares_of_earlier_days_are_holdings_and_todays_sales_of_them_are_positions():
    positions = [Position("NSE", "TEST", "CNC", -4, 100.0), Position("NSE", "TEST", "MIS", 7, 100.0)]
    holdings = [
        {"exchange": "NSE", "tradingsymbol": "TEST", "quantity": 10, "t1_quantity": 5, "used_quantity": 4},
        {
            "exchange": "NSE",
            "tradingsymbol": "PLEDGED",
            "quantity": 0,
            "collateral_quantity": 3,
            "mtf": {"quantity": 2},
        },
    ]
    found = account_of(positions, holdings)
    assert (found[CNC], found[MIS]) == (11, 7)
    assert (found["NSE:PLEDGED", "CNC"], found["NSE:PLEDGED", "MTF"]) == (3, 2)


def test_only_what_nobodys_book_explains_is_a_gap():
    account = {MIS: 12, CNC: 50, ("NSE:ELSE", "MIS"): 9}
    assert gaps(account, {MIS: 10}, {CNC: 50, MIS: 2}, {KEY}) == {}
    assert gaps(account, {MIS: 10}, {CNC: 40}, {KEY}) == {MIS: 2, CNC: 10}
    assert gaps({}, {MIS: 10}, {}, {KEY}) == {MIS: -10}


@given(
    account=st.dictionaries(st.sampled_from([MIS, CNC]), st.integers(-50, 50)),
    ours=st.dictionaries(st.sampled_from([MIS, CNC]), st.integers(-50, 50)),
    others=st.dictionaries(st.sampled_from([MIS, CNC]), st.integers(-50, 50)),
    follows=st.booleans(),
)
def test_once_a_gap_is_divided_there_is_none(account, ours, others, follows):
    """The same reading asks for nothing the second time."""
    for slot, units in gaps(account, ours, others, {KEY}).items():
        share = divide(units, ours.get(slot, 0), others.get(slot, 0), slot[1], follows=follows)
        ours[slot] = ours.get(slot, 0) + share.ours
        others[slot] = others.get(slot, 0) + share.others
    assert gaps(account, ours, others, {KEY}) == {}


# ---- how it is divided ----


@pytest.mark.parametrize(
    ("units", "ours", "others", "product", "share"),
    [
        (-10, 10, 0, "MIS", Share(-10, 0)),  # an exit done by hand
        (-4, 10, 0, "MIS", Share(-4, 0)),
        (9, 0, 0, "MIS", Share(9, 0)),
        (-15, 10, 0, "MIS", Share(-15, 0)),
        (-10, 10, 50, "CNC", Share(0, -10)),  # their own shares first
        (-30, 10, 25, "CNC", Share(-5, -25)),
        (-30, 10, 0, "CNC", Share(-10, -20)),  # never short of delivered shares
        (5, 0, -3, "MIS", Share(2, 3)),
    ],
)
def test_what_closes_their_own_is_theirs_and_the_rest_is_followed(units, ours, others, product, share):
    assert divide(units, ours, others, product, follows=True) == share
    assert divide(units, ours, others, product, follows=False) == Share(0, units)


@given(st.integers(-99, 99), st.integers(0, 99), st.integers(0, 99))
def test_delivered_shares_are_never_held_short(units, ours, others):
    share = divide(units, ours, others, "CNC", follows=True)
    assert share.ours + share.others == units
    assert ours + share.ours >= 0


@pytest.mark.parametrize(
    ("ours", "before", "since", "most"),
    [
        (10, 0, 0, (10, 0)),
        (10, 0, -10, (0, 0)),  # somebody has sold them: an exit would turn the account round
        (10, 0, -4, (6, 0)),
        (10, 50, 0, (10, 0)),  # what they hold is not ours to sell
        (10, 20, -20, (10, 0)),  # they have sold their own
        (-10, 20, 0, (0, 10)),  # undoing what we have done
        (10, -20, 0, (10, 0)),
        (-10, -20, 20, (0, 10)),  # they have bought back their own
        (-10, 0, 20, (0, 0)),
        (0, 50, 0, (0, 0)),
    ],
)
def test_an_exit_reduces_what_the_account_holds_or_undoes_what_we_did(ours, before, since, most):
    assert closable(ours, before, since) == most


# ---- exits that must shrink ----


def exit_(ref: int, remaining: int, slot: int | None = None) -> Exit:
    return Exit(ref, ("order", slot or ref), remaining, ref)


def test_the_oldest_exits_keep_theirs_and_siblings_count_once():
    assert trim([exit_(1, 6), exit_(2, 6)], 12) == {}
    assert trim([exit_(1, 6), exit_(2, 6)], 8) == {2: 2}
    assert trim([exit_(1, 10, 1), exit_(2, 10, 1)], 10) == {}
    assert trim([exit_(1, 10, 1), exit_(2, 10, 1)], 6) == {1: 6, 2: 6}
    assert trim([exit_(1, 10), exit_(2, 5)], 0) == {1: 0, 2: 0}


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 3)), max_size=6), st.integers(0, 40))
def test_after_trimming_exits_fit_and_trimming_again_changes_nothing(wanted, most):
    exits = [exit_(number, units, slot) for number, (units, slot) in enumerate(wanted, 1)]
    changed = trim(exits, most)
    after = [exit_(one.ref, changed.get(one.ref, one.remaining), one.slot[1]) for one in exits]
    together: dict[int, int] = {}
    for one in after:
        together[one.slot[1]] = max(together.get(one.slot[1], 0), one.remaining)
    assert sum(together.values()) <= most
    assert trim([one for one in after if one.remaining], most) == {}


# ---- orders that no book shows any more ----


def test_a_gap_is_explained_by_orders_that_were_open_on_its_side():
    assert attribute(10, [(1, 10)]) == ({1: 10}, 0)
    assert attribute(4, [(1, 10)]) == ({1: 4}, 0)
    assert attribute(12, [(1, 10)]) == ({1: 10}, 2)
    assert attribute(-7, [(1, 10), (2, -3)]) == ({2: -3}, -4)
    assert attribute(5, [(1, -5)]) == ({}, 5)


# ---- messages, books and trades, in any order, with any loss and repetition ----


@given(data=st.data())
def test_whatever_is_lost_or_repeated_each_unit_is_booked_once_at_its_price(data):
    """A true life of one order, told by updates, books and trades in any order; the last book is always read."""
    parts = data.draw(st.lists(st.tuples(st.integers(1, 5), st.integers(9000, 11000)), min_size=1, max_size=5))
    total, lives, trades = 0, [], []
    value = 0.0
    for number, (units, paise) in enumerate(parts, 1):
        total, value = total + units, value + units * paise / 100
        lives.append((total, value / total, number))
        trades.append(Fill(units, paise / 100, NOON + timedelta(seconds=number), f"T{number}"))

    def message(at: int) -> OrderUpdate:
        filled, average, second = lives[at]
        done = at == len(lives) - 1
        return OrderUpdate(
            "1", "COMPLETE" if done else "OPEN", "NSE", "TEST", "BUY", quantity=total, filled_quantity=filled,
            average_price=average, exchange_time=NOON + timedelta(seconds=second),
        )  # fmt: skip

    told = data.draw(
        st.lists(
            st.one_of(st.integers(0, len(lives) - 1).map(message), st.sampled_from(trades)),
            max_size=12,
        )
    )
    known: Progress | None = None
    booked, paid, before = 0, 0.0, 0
    for one in [*told, message(len(lives) - 1), message(len(lives) - 1)]:
        if isinstance(one, Fill):
            if known is None:
                continue
            known, fill = apply_trade(known, one)
        else:
            known, fill = apply(known, one, NOON)
        if fill is not None:
            booked, paid = booked + fill.quantity, paid + fill.quantity * fill.price
        assert before <= booked <= total
        before = booked
    assert known is not None
    assert (booked, known.terminal) == (total, True)
    assert paid == pytest.approx(value, abs=0.01)
