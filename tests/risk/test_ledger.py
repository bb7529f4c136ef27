"""The judge of positions is backtrader's own ``Position``; of worst cases, every outcome played through."""

from __future__ import annotations

import itertools
import json
import math
from datetime import date, datetime
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.risk.ledger import FLAT, Booking, Held, Ledger
from btkite.values import Denial, Instrument, OrderType, Proposal, Side

INFY = Instrument("NSE", "INFY")
SBIN = Instrument("NSE", "SBIN")
GOLD = Instrument("MCX", "GOLDM26DECFUT", instrument_type="FUT", segment="MCX-FUT", multiplier=10.0)
NOON = datetime(2026, 11, 20, 12, 0)
BUY, SELL = Side.BUY, Side.SELL


def order(ref: int, side: Side, quantity: int, price: float = 100.0, **more: Any) -> Proposal:
    return Proposal(
        ref=ref,
        instrument=more.pop("instrument", INFY),
        side=side,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        product="MIS",
        variety="regular",
        price=price,
        reference_price=more.pop("reference_price", price),
        **more,
    )


def holding(quantity: int, price: float = 100.0, capital: float = 100_000.0) -> Ledger:
    ledger = Ledger(capital)
    if quantity:
        ledger.fill(INFY, BUY if quantity > 0 else SELL, abs(quantity), price, 0.0, NOON)
    return ledger


PRICES = st.integers(100, 400_000).map(lambda ticks: ticks * 0.05)
FILLS = st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 50), PRICES, PRICES), max_size=40)


# -- positions and money -----------------------------------------------------------------------------


@settings(deadline=None)
@given(fills=FILLS)
def test_positions_are_backtraders_to_the_last_bit(fills: list[Any]) -> None:
    ledger, position = Ledger(1e6), bt.Position()
    for side, quantity, price, _ in fills:
        booking = ledger.fill(INFY, side, quantity, price, 0.0, NOON)
        size, average, opened, closed = position.update(side.sign * quantity, price)
        assert booking[:4] == (size, average, opened, closed)
        assert ledger.position(INFY.key)[:2] == (size, average)


@settings(deadline=None)
@given(fills=FILLS)
def test_profit_is_what_backtraders_comminfo_says(fills: list[Any]) -> None:
    ledger, position = Ledger(1e6), bt.Position()
    comminfo = bt.CommissionInfo(mult=GOLD.multiplier, margin=1.0, stocklike=False)
    for side, quantity, price, _ in fills:
        before = position.price
        closed = position.update(side.sign * quantity, price)[3]
        booking = ledger.fill(GOLD, side, quantity, price, 0.0, NOON)
        assert booking.pnl == comminfo.profitandloss(-closed, before, price)


@settings(deadline=None)
@given(
    trades=st.lists(
        st.tuples(
            st.sampled_from([INFY, SBIN, GOLD]), st.sampled_from([BUY, SELL]), st.integers(1, 50), PRICES, PRICES
        ),
        max_size=40,
    )
)
def test_no_rupee_is_made_or_lost(trades: list[Any]) -> None:
    ledger = Ledger(1e6)
    money, units, last, charges = 1e6, {}, {}, 0.0
    for instrument, side, quantity, price, mark in trades:
        ledger.fill(instrument, side, quantity, price, 1.25, NOON)
        ledger.mark(instrument.key, mark)
        money -= side.sign * quantity * price * instrument.multiplier
        units[instrument] = units.get(instrument, 0) + side.sign * quantity
        last[instrument] = mark
        charges += 1.25
    worth = sum(units[i] * last[i] * i.multiplier for i in units)
    assert ledger.value == pytest.approx(money + worth - charges, rel=1e-9, abs=1e-4)
    assert ledger.charges == pytest.approx(charges)
    assert ledger.value == ledger.capital + ledger.realized + ledger.unrealized - ledger.charges


def test_what_is_told_of_a_fill_is_what_it_did() -> None:
    ledger = holding(10, 100.0)
    assert ledger.fill(INFY, SELL, 25, 110.0, 3.0, NOON) == Booking(-15, 110.0, -15, -10, 100.0)
    assert (ledger.realized, ledger.charges) == (100.0, 3.0)
    assert ledger.fill(INFY, BUY, 15, 108.0, 2.0, NOON) == Booking(0, 0.0, 0, 15, 30.0)
    assert ledger.position(INFY.key) is FLAT
    assert ledger.value == ledger.cash == 100_000 + 130 - 5


def test_a_position_blocks_what_its_margin_rate_says() -> None:
    ledger = Ledger(100_000)
    ledger.fill(INFY, BUY, 100, 500.0, 0.0, NOON, margin_rate=0.2)
    assert ledger.cash == 100_000 - 10_000
    ledger.fill(INFY, BUY, 100, 700.0, 0.0, NOON, margin_rate=1.0)
    assert ledger.used == pytest.approx(10_000 + 70_000)
    ledger.fill(INFY, SELL, 100, 600.0, 0.0, NOON, margin_rate=0.2)
    assert ledger.used == pytest.approx(40_000)  # half of both: a reduction does not ask for the rate
    ledger.fill(INFY, SELL, 200, 600.0, 0.0, NOON, margin_rate=0.5)
    assert ledger.used == 100 * 600.0 * 0.5  # turned round: the new side at the new rate


def test_without_a_rate_a_fill_takes_the_rate_at_which_its_order_was_allowed() -> None:
    ledger = Ledger(100_000, margin_rate=lambda order: 0.25)
    ledger.allowed(order(7, BUY, 10))
    ledger.fill(INFY, BUY, 10, 100.0, ref=7)
    assert ledger.used == 250.0


def test_a_mark_moves_the_value_and_not_the_cash() -> None:
    ledger = holding(-10, 100.0)
    cash = ledger.cash
    ledger.mark(INFY.key, 103.0)
    ledger.mark(SBIN.key, 900.0)
    assert (ledger.unrealized, ledger.value, ledger.cash) == (-30.0, 99_970.0, cash)


def test_a_fill_moves_no_mark_that_is_there() -> None:
    ledger = holding(10, 100.0)
    ledger.mark(INFY.key, 104.0)
    ledger.fill(INFY, BUY, 10, 102.0)
    assert ledger.position(INFY.key) == Held(20, 101.0, 104.0, 1.0, 1.0)
    assert ledger.unrealized == 60.0


def test_the_value_does_not_depend_on_the_order_in_which_positions_were_opened() -> None:
    prices = {"A": 0.1, "B": 0.2, "C": 0.7, "D": 1e7 / 3}
    values = set()
    for names in itertools.permutations(prices):
        ledger = Ledger(1e6)
        for name in names:
            ledger.fill(Instrument("NSE", name), BUY, 1, prices[name])
        for name in names:
            ledger.mark(f"NSE:{name}", prices[name] * 1.1)
        values.add((ledger.value, ledger.cash))
    assert len(values) == 1


@pytest.mark.parametrize(("quantity", "price"), [(0, 100.0), (-5, 100.0), (5, 0.0), (5, math.nan)])
def test_a_fill_that_is_none_is_refused(quantity: int, price: float) -> None:
    with pytest.raises(ValueError, match="positive quantity and price"):
        Ledger(1e5).fill(INFY, BUY, quantity, price)


def test_the_peak_is_the_highest_value_observed() -> None:
    ledger = holding(10, 100.0)
    for price in (100.0, 120.0, 90.0):
        ledger.mark(INFY.key, price)
        ledger.observe()
    assert (ledger.peak, ledger.value) == (100_200.0, 99_900.0)


# -- working orders ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    held=st.integers(-5, 5),
    orders=st.lists(
        st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 4), st.sampled_from([0, 0, 1, 2])), max_size=6
    ),
)
def test_the_worst_case_is_the_worst_of_all_outcomes(held: int, orders: list[Any]) -> None:
    ledger = holding(held)
    leaders: dict[int, int] = {}
    slots: dict[int, list[int]] = {}
    for ref, (side, quantity, group) in enumerate(orders, start=1):
        leader = leaders.setdefault(group, ref) if group else ref
        ledger.allowed(order(ref, side, quantity, group=0 if leader == ref else leader))
        slots.setdefault(leader, [0]).append(side.sign * quantity)
    outcomes = [held + sum(outcome) for outcome in itertools.product(*slots.values())]
    assert ledger.worst_case(INFY.key) == (max(0, max(outcomes)), max(0, -min(outcomes)))


@pytest.mark.parametrize(
    ("held", "working", "proposal", "reduces"),
    [
        (0, [], order(9, BUY, 1), False),
        (100, [], order(9, SELL, 100), True),
        (100, [], order(9, SELL, 101), False),  # crosses zero
        (100, [], order(9, BUY, 1), False),
        (-100, [], order(9, BUY, 100), True),
        (-100, [], order(9, BUY, 101), False),
        (-100, [], order(9, SELL, 1), False),
        (100, [order(1, SELL, 60)], order(9, SELL, 40), True),
        (100, [order(1, SELL, 60)], order(9, SELL, 41), False),  # both may fill
        (100, [order(1, SELL, 100)], order(9, SELL, 100, group=1), True),  # siblings count once
        (100, [order(1, SELL, 100)], order(1, SELL, 50), True),  # a change takes the order's own place
        (100, [order(1, BUY, 50)], order(9, SELL, 150), False),  # the buy may never fill
        (100, [order(1, SELL, 100, instrument=SBIN)], order(9, SELL, 100), True),
    ],
)
def test_an_order_reduces_if_the_worst_case_neither_grows_nor_crosses_zero(
    held: int, working: list[Proposal], proposal: Proposal, reduces: bool
) -> None:
    ledger = holding(held)
    for each in working:
        ledger.allowed(each)
    assert ledger.reduces(proposal) is reduces


def test_a_brackets_children_reduce_before_their_parent_has_filled() -> None:
    ledger = Ledger(1e6)
    ledger.allowed(order(1, BUY, 100))
    stop, target = order(2, SELL, 100, parent=1), order(3, SELL, 100, parent=1)
    assert ledger.reduces(stop)
    assert ledger.reduces(target)
    assert not ledger.reduces(order(4, SELL, 101, parent=1))
    assert not ledger.reduces(order(4, SELL, 100))
    assert not ledger.reduces(order(4, BUY, 100, parent=1))  # adds to its parent


def test_a_brackets_children_count_for_what_the_parent_has_brought_in() -> None:
    ledger = Ledger(1e6)
    for each in (order(1, BUY, 100), order(2, SELL, 100, parent=1), order(3, SELL, 100, parent=1)):
        ledger.allowed(each)
    assert ledger.worst_case(INFY.key) == (100, 0)
    ledger.fill(INFY, BUY, 40, 100.0, ref=1)
    assert ledger.worst_case(INFY.key) == (100, 0)
    assert not ledger.reduces(order(9, SELL, 1))  # the children will sell all there is
    ledger.fill(INFY, SELL, 10, 99.0, ref=2)
    ledger.done(1)
    assert ledger.worst_case(INFY.key) == (30, 0)
    ledger.done(2)
    assert ledger.worst_case(INFY.key) == (30, 0)
    ledger.done(3)
    assert ledger.reduces(order(9, SELL, 30))
    assert ledger.state()["orders"] == []


def test_a_child_left_behind_counts_in_full() -> None:
    ledger = Ledger(1e6)
    ledger.allowed(order(1, BUY, 100))
    ledger.allowed(order(2, SELL, 100, parent=1))
    ledger.fill(INFY, BUY, 100, 100.0, ref=1)
    ledger.done(1)
    ledger.fill(INFY, SELL, 100, 100.0)  # sold by hand
    assert ledger.worst_case(INFY.key) == (0, 100)


@pytest.mark.parametrize("said_first", [True, False])
def test_what_remains_is_the_same_whether_the_fill_or_the_word_comes_first(said_first: bool) -> None:
    ledger = Ledger(1e6)
    ledger.allowed(order(1, BUY, 100))
    steps = [lambda: ledger.working(1, 60), lambda: ledger.fill(INFY, BUY, 40, 100.0, ref=1)]
    for step in steps if said_first else reversed(steps):
        step()
    assert ledger.worst_case(INFY.key) == (100, 0)
    ledger.working(1, 10)  # made smaller
    assert ledger.worst_case(INFY.key) == (50, 0)


def test_an_order_that_ended_counts_no_more_and_its_end_may_be_told_twice() -> None:
    ledger = Ledger(1e6)
    ledger.allowed(order(1, BUY, 100))
    assert ledger.is_working(1)
    for _ in range(2):
        ledger.done(1)
        ledger.working(1, 100)
    assert not ledger.is_working(1)
    assert ledger.worst_case(INFY.key) == (0, 0)


def test_exposure_counts_what_is_held_at_its_last_price_and_orders_at_their_own() -> None:
    ledger = holding(10, 90.0)
    ledger.mark(INFY.key, 100.0)
    ledger.allowed(order(1, BUY, 5, 98.0))
    ledger.allowed(order(2, SELL, 10, 110.0))
    assert ledger.exposure(order(3, BUY, 2, 97.0)) == 10 * 100.0 + 5 * 98.0 + 2 * 97.0
    assert ledger.exposure(order(1, BUY, 6, 98.0)) == 10 * 100.0 + 6 * 98.0  # in place of its older self


def test_exposure_takes_the_cheapest_to_close_and_the_dearest_to_open() -> None:
    ledger = holding(-10)
    ledger.allowed(order(1, BUY, 8, 90.0))
    assert ledger.exposure(order(2, BUY, 5, 120.0)) == 3 * 120.0
    assert ledger.exposure(order(2, BUY, 2, 120.0)) == 0.0


def test_funds_are_bound_by_what_opens_and_by_the_dearest_sibling() -> None:
    ledger = Ledger(10_000, margin_rate=lambda order: 0.5)
    assert ledger.free == 10_000
    ledger.allowed(order(1, BUY, 10, 100.0))
    ledger.allowed(order(2, BUY, 12, 100.0, group=1))
    assert ledger.committed() == 600.0
    assert ledger.free == 9_400.0
    assert ledger.required(order(3, BUY, 4, 50.0)) == 100.0
    assert ledger.required(order(2, BUY, 14, 100.0, group=1)) == 100.0  # a change costs the difference
    ledger.fill(INFY, BUY, 10, 100.0, ref=1)
    ledger.done(1)
    ledger.done(2)
    assert (ledger.committed(), ledger.cash) == (0.0, 9_500.0)
    assert ledger.required(order(4, SELL, 15, 100.0)) == 250.0  # ten of them close
    ledger.funds_limit = 42.0
    assert ledger.free == 42.0


def test_orders_that_were_tried_out_can_be_taken_back() -> None:
    ledger = Ledger(1e6)
    ledger.allowed(order(1, BUY, 5))
    before, state = ledger.checkpoint(), ledger.state()
    committed = ledger.committed()
    ledger.allowed(order(1, BUY, 50))
    ledger.allowed(order(2, BUY, 7))
    assert ledger.state() != state
    ledger.restore(before)
    assert ledger.state() == state
    assert ledger.committed() == committed


# -- the day -----------------------------------------------------------------------------------------


def test_entries_are_what_was_allowed_to_open() -> None:
    ledger = holding(10)
    ledger.roll(NOON.date())
    ledger.allowed(order(1, BUY, 1))
    ledger.allowed(order(1, BUY, 2))  # changed
    ledger.allowed(order(2, BUY, 1, group=1))  # its OCO sibling
    ledger.allowed(order(3, SELL, 10, reduces=True))
    ledger.allowed(order(4, BUY, 1))
    assert ledger.entries_today == 2
    assert ledger.entries_before(order(1, BUY, 3)) == 1
    assert ledger.entries_before(order(9, BUY, 3)) == 2


def test_only_an_entry_that_was_refused_with_nothing_filled_is_taken_off_the_count() -> None:
    ledger = Ledger(1e6)
    for ref in (1, 2, 3, 4):
        ledger.allowed(order(ref, BUY, 10))
    ledger.allowed(order(5, BUY, 10, group=4))
    ledger.fill(INFY, BUY, 4, 100.0, ref=3)
    ledger.done(1, refused=True)
    assert ledger.entries_today == 3
    ledger.done(2)  # cancelled: it could be sent and taken back without end
    ledger.done(3, refused=True)  # filled in part, then refused
    ledger.done(4, refused=True)  # its sibling lives
    assert ledger.entries_today == 3
    ledger.done(5, refused=True)
    assert ledger.entries_today == 2


def test_the_day_turns_once_and_never_back() -> None:
    ledger = holding(10, 100.0)
    assert ledger.roll(date(2026, 11, 20))
    ledger.mark(INFY.key, 90.0)
    ledger.allowed(order(1, BUY, 1))
    assert (ledger.day_pnl, ledger.entries_today) == (-100.0, 1)
    assert not ledger.roll(date(2026, 11, 20))
    assert not ledger.roll(date(2026, 11, 19))
    assert (ledger.day_pnl, ledger.entries_today) == (-100.0, 1)
    ledger.done(1)
    assert ledger.roll(date(2026, 11, 23))
    assert (ledger.day_pnl, ledger.day_start_value, ledger.entries_today) == (0.0, 99_900.0, 0)
    assert ledger.portfolio_loss == 100.0


def test_an_entry_that_works_over_night_counts_in_the_new_day() -> None:
    ledger = Ledger(1e6)
    ledger.roll(date(2026, 11, 20))
    ledger.allowed(order(1, BUY, 1))
    ledger.allowed(order(2, BUY, 1))
    ledger.done(2)
    ledger.roll(date(2026, 11, 23))
    assert ledger.entries_today == 1


def test_a_fill_of_a_new_day_belongs_to_it() -> None:
    ledger = holding(10, 100.0)
    ledger.roll(date(2026, 11, 20))
    ledger.fill(INFY, SELL, 10, 95.0, 0.0, datetime(2026, 11, 23, 9, 15))
    assert (ledger.session, ledger.day_pnl, ledger.day_start_value) == (date(2026, 11, 23), -50.0, 100_000.0)


# -- restarts ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(fills=FILLS, rest=FILLS, cut=st.booleans())
def test_a_restart_goes_on_with_the_same_bits(fills: list[Any], rest: list[Any], cut: bool) -> None:
    ledger = Ledger(1e6)
    ledger.roll(NOON.date())
    for ref, (side, quantity, price, mark) in enumerate(fills, start=1):
        ledger.allowed(order(ref, side, quantity + 1, price, group=1 if cut and ref > 1 else 0))
        ledger.fill(INFY, side, quantity, price, 0.07, NOON, margin_rate=0.3, ref=ref)
        ledger.mark(INFY.key, mark)
        ledger.observe()
        if ref % 3 == 0:
            ledger.done(ref)
    again = Ledger.from_state(json.loads(json.dumps(ledger.state())))
    for book in (ledger, again):
        for side, quantity, price, mark in rest:
            book.fill(INFY, side, quantity, price, 0.07, NOON, margin_rate=0.1)
            book.mark(INFY.key, mark)
    assert again.state() == ledger.state()
    assert (again.value, again.cash, again.free, again.worst_case(INFY.key)) == (
        ledger.value,
        ledger.cash,
        ledger.free,
        ledger.worst_case(INFY.key),
    )


def test_a_limit_for_good_survives_a_restart() -> None:
    ledger = Ledger(1e6)
    ledger.latched = Denial("MaxPortfolioLossPct", "too much is lost", "risk.max_portfolio_loss_pct")
    assert Ledger.from_state(json.loads(json.dumps(ledger.state()))).latched == ledger.latched


def test_an_idle_account_of_the_same_value_has_nothing_else_of_the_old() -> None:
    ledger = Ledger(1e6, margin_rate=lambda order: 0.5)
    ledger.fill(INFY, BUY, 10, 100.0)
    ledger.mark(INFY.key, 90.0)
    ledger.allowed(order(1, BUY, 10))
    idle = ledger.empty()
    assert (idle.value, idle.cash, idle.entries_today, idle.positions()) == (999_900.0, 999_900.0, 0, {})
    assert idle.required(order(1, BUY, 10)) == 500.0


def test_what_is_held_can_be_listed() -> None:
    ledger = Ledger(1e6)
    ledger.fill(SBIN, BUY, 2, 800.0)
    ledger.fill(INFY, SELL, 1, 1500.0, margin_rate=0.2)
    assert ledger.positions() == {
        "NSE:INFY": Held(-1, 1500.0, 1500.0, 1.0, 0.2),
        "NSE:SBIN": Held(2, 800.0, 800.0, 1.0, 1.0),
    }
    assert list(ledger.positions()) == ["NSE:INFY", "NSE:SBIN"]


def test_every_figure_of_a_book_survives_a_restart() -> None:
    """Each is another one, so that none can stand for another, or for the capital."""
    ledger = Ledger(1e6)
    ledger.roll(date(2026, 11, 19))
    ledger.fill(INFY, BUY, 40, 100.0, 3.0)
    ledger.mark(INFY.key, 130.0)
    ledger.observe()
    ledger.mark(INFY.key, 125.0)
    ledger.rearm()
    ledger.mark(INFY.key, 128.0)
    ledger.observe()
    ledger.mark(INFY.key, 120.0)
    ledger.roll(NOON.date())
    ledger.fill(INFY, SELL, 10, 125.0, 7.0)
    ledger.allowed(order(1, BUY, 5))
    ledger.latched = Denial("MaxDailyLoss", "too much is lost", "risk.max_daily_loss")
    state = json.loads(json.dumps(ledger.state()))
    figures = [state[name] for name in ("capital", "realized", "charges", "peak", "day_start_value", "loss_from")]
    assert len(set(figures)) == len(figures)
    again = Ledger.from_state(state)
    assert again.state() == ledger.state()
    assert (again.session, again.day_pnl, again.portfolio_loss) == (NOON.date(), ledger.day_pnl, ledger.portfolio_loss)
    assert again.latched == ledger.latched
    assert again.gains == {INFY.key: 250.0}


def test_the_fill_of_a_later_day_begins_it() -> None:
    ledger = Ledger(1e6)
    ledger.roll(date(2026, 11, 19))
    ledger.fill(INFY, BUY, 10, 100.0, 0.0, datetime(2026, 11, 19, 15, 0))
    ledger.mark(INFY.key, 110.0)
    ledger.fill(INFY, SELL, 10, 120.0, 0.0, NOON)
    assert (ledger.session, ledger.day_start_value) == (NOON.date(), 1e6 + 100)
    assert ledger.gains == {INFY.key: 200.0}
    ledger.fill(INFY, BUY, 1, 120.0, 0.0, datetime(2026, 11, 19, 15, 29))  # told late
    assert ledger.session == NOON.date()


def test_an_exit_that_is_refused_takes_no_entry_with_it() -> None:
    ledger = holding(10)
    ledger.roll(NOON.date())
    ledger.allowed(order(1, BUY, 1))
    ledger.allowed(order(2, SELL, 10, reduces=True))
    ledger.done(2, refused=True)
    assert ledger.entries_today == 1
    ledger.done(1, refused=True)
    assert ledger.entries_today == 0
