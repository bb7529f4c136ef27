"""The parts of the book by themselves: the last orders, how trades ended, ₹ at risk."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from btkite.risk import recent
from btkite.risk.exposure import Held, on_side, signed, units_on_side
from btkite.risk.ledger import Ledger
from btkite.risk.streak import Streak
from btkite.risk.working import Working
from btkite.values import Denial, Instrument, OrderType, Proposal, Side
from tests.contract.test_rules import INFY, NOON, SBIN, entry

SECOND = timedelta(seconds=1)


# -- the last orders ----------------------------------------------------------------------------------


def test_orders_are_remembered_for_their_time_and_not_longer() -> None:
    rows = recent.noted((), entry(10.0, 1, given=NOON), 60.0, change=False)
    kept = recent.noted(rows, entry(11.0, 2, given=NOON + 60 * SECOND), 60.0, change=False)
    assert [row.ref for row in kept] == [1, 2]
    gone = recent.noted(rows, entry(11.0, 2, given=NOON + 61 * SECOND), 60.0, change=False)
    assert [row.ref for row in gone] == [2]


def test_an_order_of_unknown_time_is_not_remembered_and_counts_against_all() -> None:
    rows = recent.noted((), entry(10.0, 1), 60.0, change=False)
    assert recent.noted(rows, replace(entry(10.0, 2), given=None), 60.0, change=False) == rows
    assert recent.since(rows, 60.0, None) == 1
    assert recent.age_of_like(rows, replace(entry(10.0, 2), given=None)) == 0.0


def test_the_same_is_the_same_in_everything() -> None:
    first = entry(10.0, 1)
    rows = recent.noted((), first, 60.0, change=False)
    later = replace(first, ref=2, given=NOON + 3 * SECOND)
    assert recent.age_of_like(rows, later) == 3.0
    for other in (
        {"instrument": SBIN}, {"side": Side.SELL}, {"quantity": 2}, {"order_type": OrderType.MARKET},
        {"product": "CNC"}, {"variety": "amo"}, {"price": 10.05}, {"trigger_price": 9.0},
    ):  # fmt: skip
        assert recent.age_of_like(rows, replace(later, **other)) is None
    assert recent.age_of_like(rows, replace(later, ref=1)) is None  # itself
    assert recent.look_of(first) == "NSE:INFY|BUY|1|LIMIT|MIS|regular|10.0|0.0"
    twice = recent.noted(rows, replace(first, ref=3, given=NOON + 2 * SECOND), 60.0, change=False)
    assert recent.age_of_like(twice, later) == 1.0


def test_a_change_and_an_order_that_came_to_nothing_are_like_no_other() -> None:
    rows = recent.noted((), entry(10.0, 1), 60.0, change=True)
    assert recent.age_of_like(rows, entry(10.0, 2)) is None
    rows = recent.noted((), entry(10.0, 1, given=NOON - 7 * SECOND), 60.0, change=False)
    rows = recent.noted(rows, entry(10.0, 2), 60.0, change=False)
    assert recent.age_of_like(rows, entry(10.0, 3)) == 0.0
    assert recent.age_of_like(recent.forgotten(rows, 2), entry(10.0, 3)) == 7.0
    both = recent.forgotten(recent.forgotten(rows, 2), 1)
    assert recent.age_of_like(both, entry(10.0, 3)) is None
    assert recent.since(both, 60.0, NOON) == 2


def test_the_last_orders_survive_a_restart() -> None:
    rows = recent.noted((), entry(10.0, 1), 60.0, change=False)
    assert recent.from_rows(json.loads(json.dumps(recent.as_rows(rows)))) == rows


# -- how trades ended ---------------------------------------------------------------------------------


def test_a_trade_has_lost_if_it_brought_in_less_than_its_charges() -> None:
    streak = Streak()
    assert (streak.losing, streak.last) == (0, None)
    streak.booked("A", 0.0, 2.0, 0, 10, 10, NOON)
    streak.booked("A", 1.0, 1.0, -4, 0, 6, NOON)  # a part of it
    assert streak.losing == 0
    streak.booked("A", 2.5, 1.0, -6, 0, 0, NOON + SECOND)  # 3.5 for charges of 4
    assert (streak.losing, streak.last) == (1, NOON + SECOND)
    streak.booked("A", 0.0, 2.0, 0, 10, 10, NOON)
    streak.booked("A", 4.0, 2.0, -10, 0, 0, NOON + 2 * SECOND)  # neither lost nor won: the row is broken
    assert (streak.losing, streak.last) == (0, NOON + SECOND)


def test_what_turns_a_position_round_ends_one_trade_and_begins_another() -> None:
    streak = Streak()
    streak.booked("A", 0.0, 0.0, 0, 10, 10, NOON)
    streak.booked("A", 3.0, 8.0, -10, -30, -30, NOON)  # a quarter of the charges is the first's
    assert streak.losing == 0
    streak.booked("A", 5.5, 0.0, 30, 0, 0, NOON)  # for charges of 6
    assert streak.losing == 1


def test_trades_of_two_symbols_do_not_mix() -> None:
    streak = Streak()
    streak.booked("A", 0.0, 5.0, 0, 1, 1, NOON)
    streak.booked("B", 0.0, 0.0, 0, 1, 1, NOON)
    streak.booked("B", 1.0, 0.0, -1, 0, 0, NOON)
    assert streak.losing == 0
    streak.booked("A", 1.0, 0.0, -1, 0, 0, None)
    assert (streak.losing, streak.last) == (1, None)
    streak.booked("A", -1.0, 0.0, -1, 0, 0, NOON)
    streak.booked("A", -1.0, 0.0, -1, 0, 0, None)
    assert (streak.losing, streak.last) == (3, NOON)


def test_a_streak_survives_a_restart_and_an_older_journal_has_none() -> None:
    streak = Streak()
    streak.booked("A", -1.0, 0.0, -1, 0, 0, NOON)
    streak.booked("B", 0.0, 5.0, 0, 1, 1, NOON)
    again = Streak.from_state(json.loads(json.dumps(streak.state())))
    assert again.state() == streak.state() == {"losing": 1, "last": NOON.isoformat(), "running": {"B": -5.0}}
    assert again.last == NOON
    assert Streak.from_state({}).state() == Streak().state() == {"losing": 0, "last": None, "running": {}}


# -- ₹ at risk ----------------------------------------------------------------------------------------

GOLD = Instrument("MCX", "GOLDM26DECFUT", instrument_type="FUT", multiplier=10.0)
CALL = Instrument("NFO", "NIFTY26DEC24000CE", instrument_type="CE", strike=24_000.0, lot_size=75)


def at_work(ref: int, sign: int, quantity: int, price: float, **more: object) -> Working:
    row = {"multiplier": 1.0, "margin_rate": 1.0, "said": quantity, **more}
    return Working(ref=ref, key="K", sign=sign, quantity=quantity, price=price, **row)  # type: ignore[arg-type]


def test_a_share_puts_its_full_value_at_risk_and_a_margined_contract_what_it_ties_up() -> None:
    assert Held(-3, 90.0, 100.0, 2.0, 0.2).at_risk == 600.0
    assert Held(-3, 90.0, 100.0, 2.0, 0.2, True).at_risk == pytest.approx(108.0)


def test_of_an_opposite_position_the_cheapest_orders_close_first() -> None:
    held = Held(-5, 100.0, 110.0, 1.0, 1.0)
    orders = {1: at_work(1, 1, 4, 100.0), 2: at_work(2, 1, 3, 200.0), 3: at_work(3, -1, 2, 50.0)}
    assert on_side(held, orders, 1) == 400.0  # two of the dear ones are left
    assert on_side(held, orders, -1) == 5 * 110.0 + 2 * 50.0
    assert units_on_side(held, orders, 1) == 2
    assert units_on_side(held, orders, -1) == 7
    assert units_on_side(held, {}, 1) == 0
    assert signed(held, orders, 1) == 400.0
    assert signed(held, {1: orders[1]}, 1) == -110.0  # one is left short
    assert signed(held, {1: orders[1], 4: at_work(4, 1, 1, 100.0)}, 1) == 0.0
    assert signed(held, {}, -1) == 550.0
    assert on_side(Held(1, 100.0, 110.0, 1.0, 1.0), {}, 1) == 110.0


def test_siblings_count_once_the_dearest_at_risk() -> None:
    flat = Held(0, 0.0, 0.0, 1.0, 1.0)
    orders = {
        1: at_work(1, 1, 4, 100.0, margin_rate=0.1, at_margin=True),
        2: at_work(2, 1, 4, 90.0, margin_rate=0.2, group=1, at_margin=True),
    }
    assert on_side(flat, orders, 1) == pytest.approx(72.0)
    shares = {ref: replace(one, at_margin=False) for ref, one in orders.items()}
    assert on_side(flat, shares, 1) == 400.0


def proposal(instrument: Instrument, side: Side, quantity: int, price: float, ref: int = 1) -> Proposal:
    return replace(entry(price, ref, quantity, instrument, side), product="NRML")


def test_futures_and_sold_options_count_at_their_margin_and_bought_ones_at_their_premium() -> None:
    rates = {Side.BUY: 0.1, Side.SELL: 0.5}

    def rate(order: Proposal) -> float:
        return 1.0 if order.instrument is CALL and order.side is Side.BUY else rates[order.side]

    book = Ledger(1e7, margin_rate=rate)
    assert book.exposure(proposal(GOLD, Side.BUY, 2, 70_000.0)) == pytest.approx(140_000.0)
    assert book.exposure(proposal(CALL, Side.BUY, 75, 100.0)) == 7_500.0
    assert book.exposure(proposal(CALL, Side.SELL, 75, 100.0)) == 3_750.0
    assert book.exposure(proposal(INFY, Side.SELL, 10, 100.0)) == 1_000.0  # whatever it ties up
    book.fill(GOLD, Side.BUY, 2, 70_000.0, margin_rate=0.1)
    book.mark(GOLD.key, 80_000.0)
    book.fill(CALL, Side.SELL, 75, 100.0, margin_rate=0.5)
    book.mark(CALL.key, 300.0)
    assert book.gross() == pytest.approx(140_000.0 + 3_750.0)
    assert book.net(1) == pytest.approx(140_000.0 - 3_750.0)
    assert book.net(-1) == pytest.approx(3_750.0 - 140_000.0)
    assert book.largest() == pytest.approx(140_000.0)
    assert book.longest() == 75
    book.fill(CALL, Side.BUY, 150, 200.0, margin_rate=1.0)
    book.mark(CALL.key, 250.0)
    assert book.position(CALL.key).at_risk == 75 * 250.0
    again = Ledger.from_state(json.loads(json.dumps(book.state())))
    assert again.gross() == book.gross()


def test_an_older_journal_is_read() -> None:
    book = Ledger(1_000_000.0)
    book.roll(date(2026, 11, 20))
    book.allowed(entry(10.0, 1))
    book.fill(SBIN, Side.BUY, 5, 100.0)
    state = json.loads(json.dumps(book.state()))
    for name in ("stopped", "recent", "streak"):
        del state[name]
    state["entries"] = {"1": [1]}
    state["positions"] = {key: held[:5] for key, held in state["positions"].items()}
    for row in state["orders"]:
        del row["at_margin"]
    old = Ledger.from_state(state)
    assert (old.entries_today, old.stopped, old.losing_streak, old.gross()) == (1, None, 0, 510.0)
    assert old.entries_of(entry(1.0, 7)) == 0  # nobody wrote down where
    assert old.entries_by_key() == {"": 1}
    assert old.orders_since(60.0, datetime(2026, 11, 20, 12)) == 0


def test_a_book_is_at_rest_with_nothing_held_and_nothing_at_work() -> None:
    book = Ledger(1_000_000.0)
    assert (book.rests, book.opens) == (True, False)
    book.allowed(entry(10.0, 1))
    assert (book.rests, book.opens) == (False, True)
    book.fill(INFY, Side.BUY, 1, 10.0, ref=1)
    book.done(1)
    assert (book.rests, book.opens) == (False, False)
    book.allowed(replace(entry(10.0, 2, side=Side.SELL), reduces=True))
    assert (book.rests, book.opens) == (False, False)
    assert (book.is_exit(2), book.is_exit(1), book.is_working(2)) == (True, False, True)
    assert (book.worst_case(INFY.key), book.worst_case(SBIN.key)) == ((1, 0), (0, 0))
    book.fill(INFY, Side.SELL, 1, 10.0, ref=2)
    assert book.rests is False  # until its end is heard
    book.done(2)
    assert (book.rests, book.opens) == (True, False)
    assert (book.short_by(entry(10.0, 3, 4, side=Side.SELL)), book.short_by(entry(10.0, 3, 4))) == (4, 0)


def test_a_day_that_was_stopped_is_so_after_a_restart() -> None:
    book = Ledger(1_000_000.0)
    book.roll(date(2026, 11, 20))
    book.stopped = Denial("MaxDailyLoss", "too much", "risk.max_daily_loss")
    again = Ledger.from_state(json.loads(json.dumps(book.state())))
    assert again.stopped == book.stopped
    again.roll(date(2026, 11, 21))
    assert again.stopped is None
