"""What single rules say, and how the table is built; that every rule keeps its limit is in contract/."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from btkite.errors import ConfigError
from btkite.risk.ledger import Ledger
from btkite.risk.rules import (
    Funds,
    LotSize,
    MaxDailyTrades,
    MaxOrderValue,
    MaxPositionPct,
    WholeQuantity,
    build_rules,
    can_ever_pass,
    check,
    rupees,
)
from btkite.values import Denial, Instrument, OrderType, Proposal, Side

INFY = Instrument("NSE", "INFY")
NIFTY = Instrument("NFO", "NIFTY26DECFUT", lot_size=75, instrument_type="FUT", segment="NFO-FUT")


def order(quantity: Any, price: float = 100.0, side: Side = Side.BUY, **more: Any) -> Proposal:
    return Proposal(
        ref=more.pop("ref", 1),
        instrument=more.pop("instrument", INFY),
        side=side,
        quantity=quantity,
        order_type=more.pop("order_type", OrderType.LIMIT),
        product="MIS",
        variety="regular",
        price=price,
        reference_price=more.pop("reference_price", price),
        **more,
    )


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [
        (75, None),
        (150, None),
        (100, "quantity 100 is not a multiple of NFO:NIFTY26DECFUT's lot of 75: use 75 or 150"),
        (10, "quantity 10 is not a multiple of NFO:NIFTY26DECFUT's lot of 75: use 75"),
    ],
)
@pytest.mark.parametrize("reduces", [True, False])
def test_a_lot_is_whole_and_the_nearest_are_named(quantity: int, reason: str | None, reduces: bool) -> None:
    assert LotSize().deny(order(quantity, instrument=NIFTY, reduces=reduces), Ledger(1e6)) == reason


@pytest.mark.parametrize("quantity", [0, -1, 0.5, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("reduces", [True, False])
def test_a_quantity_that_is_no_whole_number_is_refused(quantity: float, reduces: bool) -> None:
    denial = check(order(quantity, reduces=reduces), (WholeQuantity(),), Ledger(1e6))
    assert denial is not None
    assert denial.rule == "WholeQuantity"


def test_funds_cover_the_margin_to_the_paisa_beside_working_entries() -> None:
    book = Ledger(10_000.0, margin_rate=lambda order: 0.2)
    book.allowed(order(100, 100.0, ref=1))  # 2,000
    assert check(order(80, 500.0, ref=2), (Funds(),), book) is None
    denial = check(order(1, 40_000.05, ref=2), (Funds(),), book)
    assert denial == Denial("Funds", "the order needs ₹8,000.01, ₹8,000.00 is free", "", funds=True)


def test_funds_are_no_more_than_kite_says_are_there() -> None:
    book = Ledger(10_000.0)
    book.funds_limit = 500.0
    assert check(order(5), (Funds(),), book) is None
    assert check(order(6), (Funds(),), book) is not None


def test_an_order_may_be_made_smaller_without_funds() -> None:
    book = Ledger(1_000.0)
    book.allowed(order(10, ref=1))
    book.charges = 500.0
    assert book.free < 0
    assert check(order(8, ref=1), (Funds(),), book) is None


def test_an_exit_needs_no_funds() -> None:
    book = Ledger(1_000.0)
    book.fill(INFY, Side.BUY, 10, 100.0, 50.0)
    exit_order = order(10, side=Side.SELL)
    assert check(replace(exit_order, reduces=book.reduces(exit_order)), (Funds(),), book) is None


def test_a_sell_limit_below_the_market_is_worth_the_market() -> None:
    rule = MaxOrderValue(10_000)
    assert rule.deny(order(100, 1.0, Side.SELL, reference_price=100.0), Ledger(1e6)) is None
    assert rule.deny(order(100, 1.0, Side.SELL, reference_price=100.05), Ledger(1e6)) is not None


def test_a_market_order_is_worth_the_last_price_and_a_stop_its_trigger() -> None:
    rule = MaxOrderValue(10_000)
    market = order(100, 0.0, order_type=OrderType.MARKET, reference_price=100.0)
    assert rule.deny(market, Ledger(1e6)) is None
    assert rule.deny(replace(market, reference_price=100.05), Ledger(1e6)) is not None
    stop = replace(market, order_type=OrderType.SLM, trigger_price=100.05)
    assert rule.deny(stop, Ledger(1e6)) is not None


@pytest.mark.parametrize("rule", [MaxOrderValue(1e9), MaxPositionPct(100), Funds()], ids=lambda rule: rule.title)
@pytest.mark.parametrize("reference", [0.0, float("nan"), float("inf")])
def test_an_order_without_a_price_cannot_be_judged_by_value(rule: Any, reference: float) -> None:
    unknown = order(1, 0.0, order_type=OrderType.MARKET, reference_price=reference)
    assert "no price of NSE:INFY is known" in rule.deny(unknown, Ledger(1e6))


def test_a_position_limit_counts_the_multiplier() -> None:
    gold = Instrument("MCX", "GOLDM26DECFUT", instrument_type="FUT", multiplier=10.0)
    assert MaxPositionPct(10).deny(order(1, 10_000.0, instrument=gold), Ledger(1e6)) is None
    assert MaxPositionPct(10).deny(order(1, 10_000.05, instrument=gold), Ledger(1e6)) is not None


def test_the_position_limit_follows_the_accounts_value() -> None:
    book = Ledger(1e6)
    book.charges = 10.0
    reason = MaxPositionPct(10).deny(order(1, 100_000.0), book)
    assert reason == (
        "the position in NSE:INFY could reach ₹1,00,000.00, the limit is ₹99,999.00 (10 % of ₹9,99,990.00)"
    )


def test_changing_an_entry_is_no_new_entry() -> None:
    book = Ledger(1e6)
    book.allowed(order(1, ref=1))
    assert MaxDailyTrades(1).deny(order(2, ref=1), book) is None
    assert MaxDailyTrades(1).deny(order(1, ref=2), book) == "1 entries today, the limit is 1"


def test_rules_come_in_the_order_of_the_table_between_the_exchanges_and_funds() -> None:
    rules = build_rules({"max_daily_trades": 5, "max_position_pct": 10})
    assert rules == (WholeQuantity(), LotSize(), MaxPositionPct(10), MaxDailyTrades(5), Funds())


def test_switched_off_the_exchanges_rules_and_funds_remain() -> None:
    assert build_rules({"enabled": False, "max_daily_trades": 5}) == (WholeQuantity(), LotSize(), Funds())


def test_a_misspelt_limit_is_refused_with_the_right_name() -> None:
    with pytest.raises(ConfigError, match=r"risk\.max_daily_trade is no risk limit; did you mean risk\.max_daily_"):
        build_rules({"risk.max_daily_trade": 5})
    with pytest.raises(ConfigError, match="the limits are risk"):
        build_rules({"zzz": None})


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), True, "10", [10]])
def test_a_limit_that_is_no_number_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"risk\.max_order_value must be a number of at least 0"):
        build_rules({"max_order_value": limit})


def test_a_rule_that_raises_says_no_with_its_name() -> None:
    class Broken:
        key, funds, latches, title = "risk.broken", False, False, "broken"

        def deny(self, order: Proposal, book: Any) -> str | None:
            raise KeyError("price")

    denial = check(order(1), (Broken(),), Ledger(1e6))
    assert denial == Denial("Broken", "Broken could not judge the order (KeyError: 'price')", "risk.broken")


def test_a_start_is_refused_if_one_lot_can_never_pass() -> None:
    rules = build_rules({"max_position_pct": 10})
    book = Ledger(1_000_000.0)
    assert can_ever_pass(NIFTY, 1_333.30, rules, book) is None
    denial = can_ever_pass(NIFTY, 1_333.40, rules, book)
    assert denial is not None
    assert denial.key == "risk.max_position_pct"


def test_what_only_today_forbids_does_not_refuse_a_start() -> None:
    book = Ledger(1_000_000.0)
    book.fill(INFY, Side.BUY, 900, 1_000.0, 20_000.0)
    rules = build_rules({"max_daily_loss": 100, "max_daily_trades": 1, "max_position_pct": 10})
    assert can_ever_pass(INFY, 1_000.0, rules, book) is None


def test_a_start_is_refused_without_the_funds_for_one_lot_at_the_accounts_margin_rate() -> None:
    rules = build_rules({})
    assert can_ever_pass(NIFTY, 25_000.0, rules, Ledger(400_000.0, margin_rate=lambda order: 0.2)) is None
    denial = can_ever_pass(NIFTY, 25_000.0, rules, Ledger(400_000.0))
    assert denial is not None
    assert denial.funds


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "₹0.00"),
        (-0.001, "₹0.00"),
        (999.994, "₹999.99"),
        (1_000.0, "₹1,000.00"),
        (1_234_567.5, "₹12,34,567.50"),
        (-100_000.0, "-₹1,00,000.00"),
        (1e9, "₹1,00,00,00,000.00"),
    ],
)
def test_rupees_are_grouped_as_in_india(amount: float, text: str) -> None:
    assert rupees(amount) == text


@pytest.mark.parametrize(
    ("limits", "key"),
    [
        ({"max_position_quantity": 74}, "risk.max_position_quantity"),
        ({"max_position_value": 7_499.99}, "risk.max_position_value"),
        ({"max_gross_exposure_pct": 0.7}, "risk.max_gross_exposure_pct"),
        ({"max_net_exposure": 7_000}, "risk.max_net_exposure"),
        ({"max_margin_use_pct": 0.7}, "risk.max_margin_use_pct"),
        ({"allowed_symbols": ("NSE:*",)}, "risk.allowed_symbols"),
        ({"allowed_products": ("NRML",)}, "risk.allowed_products"),
        ({"max_position_quantity": 75, "max_position_value": 7_500, "max_net_exposure": 7_500}, None),
        ({"allowed_hours": ("09:20-09:30",), "max_loss_streak": 1, "no_entries_after": "09:00"}, None),  # the moment
        ({"duplicate_window": 5, "max_orders_per_minute": 1, "price_collar_pct": 1, "max_open_positions": 1}, None),
    ],
)
def test_limits_under_which_no_lot_can_ever_pass_are_found_at_the_start(limits: Any, key: str | None) -> None:
    book = Ledger(1_000_000.0)
    denial = can_ever_pass(NIFTY, 100.0, build_rules(limits), book, product="MIS")
    assert (None if denial is None else denial.key) == key
