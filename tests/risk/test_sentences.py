"""What each rule says and shows, to the letter: title, reason, what was held against what, how much is taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from btkite.errors import ConfigError
from btkite.risk.ledger import Ledger
from btkite.risk.rules import (
    RULES,
    AllowedHours,
    DuplicateWindow,
    Funds,
    LotSize,
    MaxLossStreak,
    MaxNetExposure,
    MaxNetExposurePct,
    MaxPortfolioLossPct,
    NoEntriesAfter,
    PriceCollarPct,
    WholeQuantity,
    build_rules,
)
from btkite.risk.verdicts import figure
from btkite.values import Side
from tests.contract.test_rules import CASES, INFY, SBIN, a_minute_before, entered, entry, fresh, holding, working

Figures = tuple[float, float] | None
SAID: dict[str, tuple[str, str, Figures, Figures]] = {
    "risk.max_position_pct": (
        "max position 10 %",
        "the position in NSE:INFY could reach ₹1,00,000.01, the limit is ₹1,00,000.00 (10 % of ₹10,00,000.00)",
        (100000.01, 100000.0),
        (0.0, 100000.0),
    ),
    "risk.max_order_value": (
        "max order value ₹50,000.00",
        "the order is worth ₹50,000.01, the limit is ₹50,000.00",
        (50000.01, 50000),
        None,
    ),
    "risk.max_position_value": (
        "max position ₹1,00,000.00",
        "the position in NSE:INFY could reach ₹1,00,000.01, the limit is ₹1,00,000.00",
        (100000.01, 100000),
        (50000.0, 100000),
    ),
    "risk.max_position_quantity": (
        "max position of 100 units",
        "the position in NSE:INFY could reach 101 units, the limit is 100",
        (101.0, 100.0),
        (0.0, 100.0),
    ),
    "risk.max_gross_exposure": (
        "max gross exposure ₹1,00,000.00",
        "all positions together could reach ₹1,00,000.01, the limit is ₹1,00,000.00",
        (100000.01, 100000),
        (50000.0, 100000),
    ),
    "risk.max_gross_exposure_pct": (
        "max gross exposure 10 %",
        "all positions together could reach ₹1,00,000.01, the limit is ₹1,00,000.00 (10 % of ₹10,00,000.00)",
        (100000.01, 100000.0),
        (50000.0, 100000.0),
    ),
    "risk.max_net_exposure": (
        "max net exposure ₹1,00,000.00",
        "the account could become net long by ₹1,00,000.01, the limit is ₹1,00,000.00",
        (100000.01, 100000),
        (50000.0, 100000),
    ),
    "risk.max_net_exposure_pct": (
        "max net exposure 10 %",
        "the account could become net short by ₹1,00,000.01, the limit is ₹1,00,000.00 (10 % of ₹10,00,000.00)",
        (100000.01, 100000.0),
        (50000.0, 100000.0),
    ),
    "risk.max_open_positions": (
        "max 2 open positions",
        "3 positions could be open with NSE:INFY, the limit is 2",
        (3.0, 2.0),
        (2.0, 2.0),
    ),
    "risk.max_margin_use_pct": (
        "max margin use 10 %",
        "positions and orders could tie up ₹1,00,000.01, the limit is ₹1,00,000.00 (10 % of ₹10,00,000.00)",
        (100000.01, 100000.0),
        (50000.0, 100000.0),
    ),
    "risk.price_collar_pct": (
        "prices within 5 % of the last",
        "the order's price is ₹5.01 away from the last price ₹100.00, the limit is ₹5.00 (5 %)",
        (5.01, 5.0),
        None,
    ),
    "risk.duplicate_window": (
        "no equal orders within 5 s",
        "the same order was given 4 s ago, the limit is 5 s",
        None,
        None,
    ),
    "risk.max_orders_per_minute": (
        "max 3 orders a minute",
        "3 orders in the last minute, the limit is 3",
        (3.0, 3.0),
        None,
    ),
    "risk.max_daily_trades_per_symbol": (
        "max 5 entries a day in one symbol",
        "5 entries in NSE:INFY today, the limit is 5",
        (5.0, 5.0),
        (5.0, 5.0),
    ),
    "risk.max_loss_streak": (
        "30 minutes after 3 losing trades",
        "3 trades in a row have lost, the limit is 3: nothing is opened before 2026-11-20 12:00:00",
        (3.0, 3.0),
        (3.0, 3.0),
    ),
    "risk.max_drawdown_pct": (
        "max drawdown 2 %",
        "the account is worth ₹22,000.01 less than at its best, the limit is ₹22,000.00 (2 % of ₹11,00,000.00)",
        (22000.01, 22000.0),
        (22000.01, 22000.0),
    ),
    "risk.allowed_symbols": (
        "only NSE:IN*, NSE:TCS",
        "NSE:SBIN is not among the symbols allowed, the limit is NSE:IN*, NSE:TCS",
        None,
        None,
    ),
    "risk.allowed_products": (
        "only CNC, MIS",
        "NRML is not among the products allowed, the limit is CNC, MIS",
        None,
        None,
    ),
    "risk.allowed_hours": (
        "entries 09:20-10:00, 11:30-12:00 only",
        "it is 12:00:01, the limit is 09:20-10:00, 11:30-12:00",
        None,
        None,
    ),
    "risk.no_entries_after": (
        "no entries after 12:00",
        "it is 12:00:01, the limit is 12:00",
        None,
        None,
    ),
    "risk.max_daily_loss": (
        "max daily loss ₹5,000.00",
        "₹5,000.01 were lost today, the limit is ₹5,000.00",
        (5000.01, 5000),
        (5000.01, 5000),
    ),
    "risk.max_daily_loss_pct": (
        "max daily loss 2 %",
        "₹20,000.01 were lost today, the limit is ₹20,000.00 (2 % of the ₹10,00,000.00 at the day's start)",
        (20000.01, 20000.0),
        (20000.01, 20000.0),
    ),
    "risk.max_daily_trades": (
        "max 5 entries a day",
        "5 entries today, the limit is 5",
        (5.0, 5.0),
        (5.0, 5.0),
    ),
    "risk.max_portfolio_loss_pct": (
        "max portfolio loss 5 %",
        "₹50,000.01 of the capital are lost, the limit is ₹50,000.00 (5 % of ₹10,00,000.00)",
        (50000.01, 50000.0),
        (50000.01, 50000.0),
    ),
}


@pytest.mark.parametrize("key", RULES)
def test_a_rule_says_it_to_the_letter(key: str) -> None:
    title, reason, held, taken = SAID[key]
    rule = RULES[key](CASES[key].limit)
    book, order = CASES[key].past()
    assert rule.title == title
    assert rule.deny(order, book) == reason
    assert rule.measure(order, book) == (held if held is None else pytest.approx(held, abs=1e-6))
    assert rule.used(book) == (taken if taken is None else pytest.approx(taken, abs=1e-6))


def test_what_is_always_on_has_titles_and_figures() -> None:
    assert [rule.title for rule in (WholeQuantity(), LotSize(), Funds())] == ["whole quantity", "lot size", "funds"]
    book = working(entry(1_000.0, 1, 30), margin_rate=lambda order: 0.5, capital=100_000.0)
    book.fill(SBIN, Side.BUY, 10, 800.0)
    assert Funds().used(book) == (23_000.0, 100_000.0)
    assert Funds().measure(entry(1_000.0, quantity=4), book) == (2_000.0, 77_000.0)
    book.funds_limit = -5.0  # Kite says that money is owed
    assert Funds().used(book) == (23_000.0, 23_000.0)
    assert Funds().deny(entry(1.0), book) == "the order needs ₹0.50, ₹0.00 is free"


def test_an_order_that_needs_nothing_more_passes_without_money() -> None:
    book = working(entry(1_000.0, 1, 30), capital=1_000.0)
    assert book.free < 0
    assert Funds().deny(entry(1_000.0, 1, 30), book) is None
    assert Funds().deny(replace(entry(1.0), reduces=True), book) is None


@pytest.mark.parametrize("rule", [MaxNetExposure(1_000), MaxNetExposurePct(0.1)])
def test_net_exposure_is_shown_whichever_way_it_is(rule: Any) -> None:
    assert rule.used(holding((INFY, 3, 100.0))) == (300.0, 1_000.0)
    assert rule.used(holding((INFY, -3, 100.0))) == (300.0, 1_000.0)
    assert rule.used(holding((INFY, -3, 100.0), (SBIN, 1, 300.0))) == (0.0, 1_000.0)
    assert rule.used(fresh()) == (0.0, 1_000.0)


@pytest.mark.parametrize("rule", [NoEntriesAfter("12:00"), AllowedHours(("09:15-12:00",))])
def test_an_order_of_unknown_time_does_not_pass_hours(rule: Any) -> None:
    said = rule.deny(replace(entry(10.0), given=None), fresh())
    hours = rule.limit if isinstance(rule.limit, str) else rule.limit[0]
    assert said == f"nobody knows when the order was given, the limit is {hours}"
    assert rule.deny(replace(entry(10.0), given=None, reduces=True), fresh()) is None


def test_hours_begin_and_end_to_the_second() -> None:
    rule = AllowedHours(("09:20-10:00",))
    times = ["09:19:59", "09:20:00", "10:00:00", "10:00:01"]
    said = [rule.deny(entry(10.0, given=datetime.fromisoformat(f"2026-11-20 {at}")), fresh()) is None for at in times]
    assert said == [False, True, True, False]


def test_a_pause_is_over_for_an_order_of_its_last_second_and_of_no_known_time_never() -> None:
    book, order = CASES["risk.max_loss_streak"].at()
    rule = MaxLossStreak(3)
    assert rule.deny(order, book) is None
    assert rule.deny(replace(order, given=None), book) is not None
    assert MaxLossStreak(4).deny(order, book) is None
    assert MaxLossStreak(3, 31.0).title == "31 minutes after 3 losing trades"


def test_a_collar_looks_at_the_price_that_is_farther_and_not_at_orders_without() -> None:
    rule, book = PriceCollarPct(5), fresh()
    assert rule.deny(entry(0.0, last=100.0), book) is None
    assert rule.measure(entry(0.0, last=100.0), book) == (0.0, 5.0)
    stop = replace(entry(104.0, last=100.0), trigger_price=103.0)
    assert rule.measure(stop, book) == (4.0, 5.0)
    assert rule.measure(replace(stop, trigger_price=94.0), book) == (6.0, 5.0)
    assert rule.deny(replace(stop, trigger_price=94.0), book) is not None
    assert rule.deny(replace(entry(0.0, last=100.0), trigger_price=110.0), book) is not None
    for last in (0.0, -1.0, float("nan"), float("inf")):
        unknown = rule.deny(replace(entry(104.0), reference_price=last), book)
        assert unknown == "no price of NSE:INFY is known yet, so the order's price cannot be judged"
    assert rule.deny(replace(entry(1.0), reference_price=1.0), book) is None


def test_a_loss_since_arming_says_so() -> None:
    book = holding((SBIN, 1_000, 800.0))
    book.mark(SBIN.key, 790.0)
    book.rearm()
    book.mark(SBIN.key, 730.0)
    assert MaxPortfolioLossPct(5).passed(book) == (
        "₹60,000.00 of the capital are lost since trading was resumed, the limit is ₹50,000.00 (5 % of ₹10,00,000.00)"
    )


def test_no_loss_takes_nothing_of_a_limit() -> None:
    book = holding((SBIN, 1_000, 800.0))
    book.mark(SBIN.key, 810.0)
    assert MaxPortfolioLossPct(5).used(book) == (0.0, 50_000.0)
    assert MaxPortfolioLossPct(5).measure(entry(1.0), book) == (-10_000.0, 50_000.0)


def test_no_entry_has_been_made_in_any_symbol_at_first() -> None:
    rule = RULES["risk.max_daily_trades_per_symbol"](3)
    assert rule.used(fresh()) == (0.0, 3.0)
    book = working(entry(1.0, 1), entry(1.0, 2, instrument=SBIN), entry(1.0, 3, instrument=SBIN))
    assert rule.used(book) == (2.0, 3.0)


def test_only_entries_have_twins() -> None:
    book = working(entry(10.0, 1))
    assert DuplicateWindow(5).deny(entry(10.0), book) == "the same order was given 0 s ago, the limit is 5 s"
    assert DuplicateWindow(5).deny(replace(entry(10.0), reduces=True), book) is None
    assert DuplicateWindow(5).deny(entry(10.0, 1), book) is None


@pytest.mark.parametrize(
    ("key", "limit", "must"),
    [
        ("allowed_symbols", "NSE:INFY", "a list of words, empty for no limit"),
        ("allowed_symbols", ["NSE:INFY", ""], "a list of words, empty for no limit"),
        ("allowed_products", [1], "a list of words, empty for no limit"),
        ("allowed_hours", ["09:15"], "spans of the day in IST such as 09:20-15:00, empty for no limit"),
        (
            "allowed_hours",
            ["09:15-10:00", "11:00-11:00"],
            "spans of the day in IST such as 09:20-15:00, empty for no limit",
        ),
        ("allowed_hours", "09:15-10:00", "spans of the day in IST such as 09:20-15:00, empty for no limit"),
        ("allowed_hours", ["09:15-10:00", 7], "spans of the day in IST such as 09:20-15:00, empty for no limit"),
        ("no_entries_after", "25:00", "a time of day in IST such as 15:00, or null for no limit"),
        ("no_entries_after", 15, "a time of day in IST such as 15:00, or null for no limit"),
        ("max_position_value", -1, "a number of at least 0, or null for no limit"),
        ("max_position_value", True, "a number of at least 0, or null for no limit"),
        ("max_position_value", float("inf"), "a number of at least 0, or null for no limit"),
        ("loss_streak_pause", "x", "a number of at least 0, or null for no limit"),
    ],
)
def test_a_limit_that_is_not_understood_is_said_and_not_left_out(key: str, limit: Any, must: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build_rules({key: limit})
    assert str(raised.value) == f"risk.{key} must be {must}, not {limit!r}"


def test_limits_of_words_and_of_two_keys_are_built() -> None:
    rules = build_rules(
        {
            "allowed_symbols": ["NSE:INFY"],
            "allowed_hours": ("09:15-10:00",),
            "max_loss_streak": 3,
            "loss_streak_pause": 5,
        }
    )
    built = {rule.key: rule for rule in rules if rule.key}
    assert built["risk.allowed_symbols"].limit == ("NSE:INFY",)  # type: ignore[attr-defined]
    assert built["risk.max_loss_streak"] == MaxLossStreak(3, 5)
    assert set(built) == {"risk.allowed_symbols", "risk.allowed_hours", "risk.max_loss_streak"}
    assert build_rules({"allowed_symbols": [], "allowed_hours": ()}) == build_rules({})
    assert MaxLossStreak(3).pause == 30.0


def test_what_is_no_limit_of_the_section_is_left_to_the_gate() -> None:
    assert build_rules({"reduce_at_pct": 80, "on_halt": "flatten", "on_daily_loss": "keep"}) == build_rules({})


def test_figures_have_their_unit() -> None:
    assert [figure(1234.5, "₹"), figure(12.0, ""), figure(1234.0, ""), figure(5.0, "s")] == [
        "₹1,234.50", "12", "1,234", "5 s",
    ]  # fmt: skip


def test_the_largest_of_nothing_is_nothing() -> None:
    book = Ledger(100.0)
    book.roll(date(2026, 11, 20))
    assert (book.largest(), book.longest(), book.gross(), book.net(1), book.open_keys()) == (0.0, 0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    "key", ["risk.max_orders_per_minute", "risk.max_daily_trades", "risk.max_daily_trades_per_symbol"]
)
def test_an_exit_is_given_whatever_was_given_before(key: str) -> None:
    book = a_minute_before(1.0, 1.0) if "minute" in key else entered(3)
    rule = RULES[key](1)
    assert rule.deny(entry(10.0), book) is not None
    assert rule.deny(replace(entry(10.0), reduces=True), book) is None


def test_what_no_exchange_takes_is_said_with_its_figure() -> None:
    said = WholeQuantity().deny(entry(10.0, quantity=0), fresh())
    assert said == "the quantity must be a whole number of at least 1, not 0"
    pairs = replace(INFY, lot_size=2)
    assert LotSize().deny(entry(10.0, quantity=3, instrument=pairs), fresh()) == (
        "quantity 3 is not a multiple of NSE:INFY's lot of 2: use 2 or 4"
    )
