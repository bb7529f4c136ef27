"""One suite for every rule of the table: refuses past its limit, allows at it, lets reducing orders through.

A new rule needs a row in ``CASES``: an account and an order exactly at the limit, and one a paisa, or one
entry, past it. The ledger is the real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from btkite.risk.gate import RiskGate
from btkite.risk.ledger import Checkpoint, Ledger
from btkite.risk.rules import RULES, build_rules, check
from btkite.risk.verdicts import used, verdicts
from btkite.values import Instrument, OrderType, Proposal, Side

INFY = Instrument("NSE", "INFY")
SBIN = Instrument("NSE", "SBIN")
NOON = datetime(2026, 11, 20, 12)


def entry(
    price: float,
    ref: int = 100,
    quantity: int = 1,
    instrument: Instrument = INFY,
    side: Side = Side.BUY,
    last: float = 0.0,
    given: datetime = NOON,
    product: str = "MIS",
) -> Proposal:
    return Proposal(
        ref=ref,
        instrument=instrument,
        side=side,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        product=product,
        variety="regular",
        price=price,
        reference_price=last or price,
        given=given,
    )


def fresh(capital: float = 1_000_000.0) -> Ledger:
    ledger = Ledger(capital)
    ledger.roll(date(2026, 11, 20))
    return ledger


def lost(rupees: float) -> Ledger:
    """An account of ten lakh that has lost so much today: some realized, some open, some in charges."""
    ledger = fresh()
    ledger.fill(SBIN, Side.BUY, 200, 800.0)
    ledger.fill(SBIN, Side.SELL, 100, 798.0, 0.01)
    ledger.mark(SBIN.key, 800.0 - (rupees - 200.01) / 100)
    return ledger


def entered(times: int) -> Ledger:
    ledger = fresh()
    for ref in range(1, times + 1):
        ledger.allowed(entry(10.0, ref))
        if ref % 2:
            ledger.fill(INFY, Side.BUY, 1, 10.0, ref=ref)
            ledger.done(ref)
    return ledger


def holding(*lots: tuple[Instrument, int, float], capital: float = 1_000_000.0) -> Ledger:
    """Positions, long and short, at their prices."""
    ledger = fresh(capital)
    for instrument, quantity, price in lots:
        ledger.fill(instrument, Side.BUY if quantity > 0 else Side.SELL, abs(quantity), price)
    return ledger


def working(*orders: Proposal, capital: float = 1_000_000.0, **more: Any) -> Ledger:
    """Orders that were allowed and have not traded."""
    ledger = Ledger(capital, **more)
    ledger.roll(date(2026, 11, 20))
    ledger.remembers = 60.0
    for order in orders:
        ledger.allowed(order)
    return ledger


def a_minute_before(*seconds: float) -> Ledger:
    """Orders that were given so many seconds ago."""
    return working(*(entry(10.0, ref, given=NOON - timedelta(seconds=ago)) for ref, ago in enumerate(seconds, 1)))


def losing(trades: int, minutes_ago: float = 10.0) -> Ledger:
    """So many trades in a row that have lost, the last of them so long ago."""
    ledger = fresh()
    for _ in range(trades):
        ledger.fill(SBIN, Side.BUY, 10, 800.0, time=NOON - timedelta(hours=1))
        ledger.fill(SBIN, Side.SELL, 10, 799.95, time=NOON - timedelta(minutes=minutes_ago))
    return ledger


def fallen(rupees: float) -> Ledger:
    """An account that has been worth eleven lakh and is worth so much less now."""
    ledger = holding((SBIN, 1_000, 800.0))
    ledger.mark(SBIN.key, 900.0)
    ledger.observe()
    ledger.mark(SBIN.key, 900.0 - rupees / 1_000)
    return ledger


@dataclass(frozen=True)
class Case:
    limit: Any
    at: Callable[[], tuple[Ledger, Proposal]]
    past: Callable[[], tuple[Ledger, Proposal]]


CASES = {
    "risk.max_position_pct": Case(
        10, lambda: (fresh(), entry(1_000.0, quantity=100)), lambda: (fresh(), entry(100_000.01))
    ),
    "risk.max_order_value": Case(
        50_000, lambda: (fresh(), entry(500.0, quantity=100)), lambda: (fresh(), entry(50_000.01))
    ),
    "risk.max_position_value": Case(
        100_000,
        lambda: (holding((INFY, 50, 1_000.0)), entry(1_000.0, quantity=50)),
        lambda: (holding((INFY, 50, 1_000.0)), entry(50_000.01)),
    ),
    "risk.max_position_quantity": Case(
        100,
        lambda: (working(entry(10.0, 1, 60)), entry(10.0, quantity=40)),
        lambda: (working(entry(10.0, 1, 60)), entry(10.0, quantity=41)),
    ),
    "risk.max_gross_exposure": Case(
        100_000,
        lambda: (holding((SBIN, -50, 1_000.0)), entry(50_000.0)),
        lambda: (holding((SBIN, -50, 1_000.0)), entry(50_000.01)),
    ),
    "risk.max_gross_exposure_pct": Case(
        10,
        lambda: (holding((SBIN, -50, 1_000.0)), entry(50_000.0)),
        lambda: (holding((SBIN, -50, 1_000.0)), entry(50_000.01)),
    ),
    "risk.max_net_exposure": Case(
        100_000,
        lambda: (holding((SBIN, -50, 1_000.0)), entry(150_000.0)),
        lambda: (holding((SBIN, -50, 1_000.0)), entry(150_000.01)),
    ),
    "risk.max_net_exposure_pct": Case(
        10,
        lambda: (holding((SBIN, 50, 1_000.0)), entry(150_000.0, side=Side.SELL)),
        lambda: (holding((SBIN, 50, 1_000.0)), entry(150_000.01, side=Side.SELL)),
    ),
    "risk.max_open_positions": Case(
        2,
        lambda: (holding((SBIN, -50, 1_000.0)), entry(10.0)),
        lambda: (holding((SBIN, -50, 1_000.0), (Instrument("BSE", "INFY"), 1, 10.0)), entry(10.0)),
    ),
    "risk.max_margin_use_pct": Case(
        10,
        lambda: (working(entry(250_000.0, 1), margin_rate=lambda order: 0.2), entry(250_000.0)),
        lambda: (working(entry(250_000.0, 1), margin_rate=lambda order: 0.2), entry(250_000.05)),
    ),
    "risk.price_collar_pct": Case(
        5, lambda: (fresh(), entry(95.0, last=100.0)), lambda: (fresh(), entry(105.01, last=100.0))
    ),
    "risk.duplicate_window": Case(
        5, lambda: (a_minute_before(5.0), entry(10.0)), lambda: (a_minute_before(4.0), entry(10.0))
    ),
    "risk.max_orders_per_minute": Case(
        3,
        lambda: (a_minute_before(60.0, 59.0, 1.0), entry(20.0)),
        lambda: (a_minute_before(59.0, 59.0, 1.0), entry(20.0)),
    ),
    "risk.max_daily_trades_per_symbol": Case(
        5,
        lambda: (entered(4), entry(10.0)),
        lambda: (entered(5), entry(10.0)),
    ),
    "risk.max_loss_streak": Case(
        3, lambda: (losing(3, minutes_ago=30.0), entry(10.0)), lambda: (losing(3, minutes_ago=29.99), entry(10.0))
    ),
    "risk.max_drawdown_pct": Case(2, lambda: (fallen(22_000), entry(10.0)), lambda: (fallen(22_000.01), entry(10.0))),
    "risk.allowed_symbols": Case(
        ("NSE:IN*", "NSE:TCS"), lambda: (fresh(), entry(10.0)), lambda: (fresh(), entry(10.0, instrument=SBIN))
    ),
    "risk.allowed_products": Case(
        ("CNC", "MIS"), lambda: (fresh(), entry(10.0)), lambda: (fresh(), entry(10.0, product="NRML"))
    ),
    "risk.allowed_hours": Case(
        ("09:20-10:00", "11:30-12:00"),
        lambda: (fresh(), entry(10.0)),
        lambda: (fresh(), entry(10.0, given=NOON + timedelta(seconds=1))),
    ),
    "risk.no_entries_after": Case(
        "12:00", lambda: (fresh(), entry(10.0)), lambda: (fresh(), entry(10.0, given=NOON + timedelta(seconds=1)))
    ),
    "risk.max_daily_loss": Case(5_000, lambda: (lost(5_000), entry(10.0)), lambda: (lost(5_000.01), entry(10.0))),
    "risk.max_daily_loss_pct": Case(2, lambda: (lost(20_000), entry(10.0)), lambda: (lost(20_000.01), entry(10.0))),
    "risk.max_daily_trades": Case(5, lambda: (entered(4), entry(10.0)), lambda: (entered(5), entry(10.0))),
    "risk.max_portfolio_loss_pct": Case(5, lambda: (lost(50_000), entry(10.0)), lambda: (lost(50_000.01), entry(10.0))),
}

OF_THE_ORDER_ALONE = {
    "risk.max_order_value",
    "risk.price_collar_pct",
    "risk.allowed_symbols",
    "risk.allowed_products",
    "risk.allowed_hours",
    "risk.no_entries_after",
}
"""They do not ask the book."""

every_rule = pytest.mark.parametrize("key", RULES)


def judged(key: str, book: Ledger, order: Proposal) -> Any:
    """By the one rule alone, the way the gate asks it."""
    rule = RULES[key](CASES[key].limit)
    return check(replace(order, reduces=book.reduces(order)), (rule,), book)


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    assert set(CASES) == set(RULES)


@every_rule
def test_a_rule_allows_at_its_limit(key: str) -> None:
    assert judged(key, *CASES[key].at()) is None


@every_rule
def test_a_rule_refuses_past_its_limit(key: str) -> None:
    denial = judged(key, *CASES[key].past())
    assert denial is not None
    assert denial.key == key
    assert str(denial).endswith(f"({key})")
    assert not denial.funds


@every_rule
def test_a_reason_is_one_sentence_with_the_limit_in_it(key: str) -> None:
    denial = judged(key, *CASES[key].past())
    assert "the limit is " in denial.reason
    assert "\n" not in denial.reason
    assert not denial.reason.endswith(".")


@every_rule
def test_a_rule_lets_reducing_orders_through(key: str) -> None:
    book, order = CASES[key].past()
    held = 100_000
    book.fill(order.instrument, Side.BUY, held, order.price or 100.0)
    book.restore(Checkpoint({}, {}, ()))  # nothing else is at work
    held = book.position(order.instrument.key).quantity
    exit_order = replace(order, side=Side.SELL, quantity=held)
    assert book.reduces(exit_order)
    assert judged(key, book, exit_order) is None


@every_rule
def test_a_rule_that_breaks_refuses(key: str) -> None:
    rule = RULES[key](CASES[key].limit)
    denial = check(entry(10.0), (rule,), None)  # type: ignore[arg-type] # a book that answers nothing
    if key in OF_THE_ORDER_ALONE:
        assert denial is None
        denial = check(None, (rule,), fresh())  # type: ignore[arg-type]
    assert denial is not None
    assert denial.key == key
    assert type(rule).__name__ in denial.reason


@every_rule
def test_a_rule_says_the_same_after_a_restart(key: str) -> None:
    for case, allows in ((CASES[key].at, True), (CASES[key].past, False)):
        book, order = case()
        again = Ledger.from_state(json.loads(json.dumps(book.state())), margin_rate=book._margin_rate)
        assert (judged(key, again, order) is None) is allows
        assert judged(key, again, order) == judged(key, book, order)


@every_rule
def test_a_change_of_an_order_is_judged_as_what_it_becomes(key: str) -> None:
    """Of an entry that is at work already: it may become what is at the limit, and nothing past it."""
    for case, allows in ((CASES[key].at, True), (CASES[key].past, key == "risk.duplicate_window")):  # no new order
        book, order = case()
        gate = RiskGate((RULES[key](CASES[key].limit),), book)
        book.remembers = -1.0
        book.allowed(replace(order, quantity=1, price=0.01, reference_price=0.01))
        before = book.checkpoint()
        assert (gate.judge([order]) is None) is allows
        assert (book.checkpoint() == before) is not allows


@every_rule
def test_a_rule_shows_what_it_held_the_order_against_and_how_much_is_taken(key: str) -> None:
    rule = RULES[key](CASES[key].limit)
    for case in (CASES[key].at, CASES[key].past):
        book, order = case()
        (row,) = verdicts(order, (rule,), book)
        assert (row["rule"], row["key"], row["title"], row["unit"]) == (
            type(rule).__name__, key, rule.title, rule.unit,
        )  # fmt: skip
        assert bool(row["reason"]) is (case is CASES[key].past)
        if row["value"] is not None and row["unit"] == "₹":
            assert (row["value"] > row["limit"] + 0.005) is bool(row["reason"])
        for shown in used((rule,), book):
            assert shown["key"] == key
            assert shown["used"] >= 0
            assert shown["limit"] > 0


@every_rule
def test_a_rule_is_switched_on_by_its_key_and_off_by_none(key: str) -> None:
    rule = RULES[key](CASES[key].limit)
    assert rule in build_rules({key: CASES[key].limit})
    assert rule in build_rules({key.removeprefix("risk."): CASES[key].limit})
    assert rule not in build_rules({key: None})
    assert rule not in build_rules({key: CASES[key].limit, "enabled": False})


@every_rule
def test_a_rules_title_names_its_limit(key: str) -> None:
    assert any(digit in RULES[key](CASES[key].limit).title for digit in str(CASES[key].limit))
