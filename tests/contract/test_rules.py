"""One suite for every rule of the table: refuses past its limit, allows at it, lets reducing orders through.

A new rule needs a row in ``CASES``: an account and an order exactly at the limit, and one a paisa, or one
entry, past it. The ledger is the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from btkite.risk.ledger import Ledger
from btkite.risk.rules import RULES, build_rules, check
from btkite.values import Instrument, OrderType, Proposal, Side

INFY = Instrument("NSE", "INFY")
SBIN = Instrument("NSE", "SBIN")


def entry(price: float, ref: int = 100, quantity: int = 1) -> Proposal:
    return Proposal(
        ref=ref,
        instrument=INFY,
        side=Side.BUY,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        product="MIS",
        variety="regular",
        price=price,
        reference_price=price,
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
    "risk.max_daily_loss": Case(5_000, lambda: (lost(5_000), entry(10.0)), lambda: (lost(5_000.01), entry(10.0))),
    "risk.max_daily_loss_pct": Case(2, lambda: (lost(20_000), entry(10.0)), lambda: (lost(20_000.01), entry(10.0))),
    "risk.max_daily_trades": Case(5, lambda: (entered(4), entry(10.0)), lambda: (entered(5), entry(10.0))),
    "risk.max_portfolio_loss_pct": Case(5, lambda: (lost(50_000), entry(10.0)), lambda: (lost(50_000.01), entry(10.0))),
}

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
    book.fill(INFY, Side.BUY, held, order.price or 100.0)
    exit_order = replace(order, side=Side.SELL, quantity=held)
    assert book.reduces(exit_order)
    assert judged(key, book, exit_order) is None


@every_rule
def test_a_rule_that_breaks_refuses(key: str) -> None:
    rule = RULES[key](CASES[key].limit)
    denial = check(entry(10.0), (rule,), None)  # type: ignore[arg-type] # a book that answers nothing
    if key == "risk.max_order_value":  # asks the order alone
        assert denial is None
        denial = check(None, (rule,), fresh())  # type: ignore[arg-type]
    assert denial is not None
    assert denial.key == key
    assert type(rule).__name__ in denial.reason


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
