"""Each rule's figures: what an order was held against, and how much of a limit the book has taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from btkite.risk.gate import KillSwitch, RiskGate
from btkite.risk.ledger import Ledger
from btkite.risk.rules import build_rules
from btkite.risk.verdicts import used, verdicts
from btkite.values import Instrument, OrderType, Proposal, Side

INFY = Instrument(exchange="NSE", tradingsymbol="INFY")
LIMITS = {
    "max_position_pct": 10,
    "max_order_value": 20_000,
    "max_daily_loss": 500,
    "max_daily_loss_pct": 1,
    "max_daily_trades": 3,
    "max_portfolio_loss_pct": 5,
}


def order(quantity: int = 5, ref: int = 1, side: Side = Side.BUY) -> Proposal:
    return Proposal(
        ref=ref,
        instrument=INFY,
        side=side,
        quantity=quantity,
        order_type=OrderType.MARKET,
        product="MIS",
        variety="regular",
        reference_price=1_000.0,
    )


def book() -> Ledger:
    found = Ledger(100_000.0)
    found.roll(date(2026, 11, 20))
    return found


def test_every_limit_says_what_it_compared() -> None:
    ledger = book()
    rows = {row["key"] or row["rule"]: row for row in verdicts(order(), build_rules(LIMITS), ledger)}
    figures = {key: (row["value"], row["limit"]) for key, row in rows.items()}
    assert figures == {
        "WholeQuantity": (None, None),
        "LotSize": (None, None),
        "risk.max_position_pct": (5_000, 10_000),
        "risk.max_order_value": (5_000, 20_000),
        "risk.max_daily_loss": (0, 500),
        "risk.max_daily_loss_pct": (0, 1_000),
        "risk.max_daily_trades": (0, 3),
        "risk.max_portfolio_loss_pct": (0, 5_000),
        "Funds": (5_000, 100_000),
    }
    assert {row["reason"] for row in rows.values()} == {""}


def test_the_figures_of_a_denial_are_the_gates_own() -> None:
    gate = RiskGate(build_rules(LIMITS), book())
    gate.noted = {}
    denial = gate.judge([order(11)])
    assert denial is not None
    (row,) = [row for row in gate.noted[1] if row["reason"]]
    assert row["reason"] == denial.reason
    assert (row["value"], row["limit"]) == (11_000, 10_000)


def test_an_order_that_reduces_is_held_against_nothing() -> None:
    ledger = book()
    ledger.fill(INFY, Side.BUY, 50, 1_000.0)
    rows = verdicts(replace(order(50, side=Side.SELL), reduces=True), build_rules(LIMITS), ledger)
    assert {(row["value"], row["reason"]) for row in rows} == {(None, "")}


def test_nothing_is_noted_where_nobody_asks() -> None:
    gate = RiskGate(build_rules(LIMITS), book())
    assert gate.judge([order()]) is None
    assert gate.noted is None


def test_the_bars_of_the_limits_follow_the_book() -> None:
    ledger = book()
    assert gate_allows(ledger, order())
    ledger.fill(INFY, Side.BUY, 5, 1_000.0, charges=20.0, ref=1)
    ledger.done(1)
    ledger.mark("NSE:INFY", 980.0)
    rows = {row["key"]: (row["used"], row["limit"]) for row in used(build_rules(LIMITS), ledger)}
    assert rows["risk.max_position_pct"] == (4_900, pytest.approx(ledger.value / 10))
    assert rows["risk.max_daily_loss"] == (120, 500)
    assert rows["risk.max_daily_loss_pct"] == (120, 1_000)
    assert rows["risk.max_daily_trades"] == (1, 3)
    assert rows["risk.max_portfolio_loss_pct"] == (120, 5_000)
    assert rows["funds"] == (5_000, pytest.approx(100_000 - 20))


def gate_allows(ledger: Ledger, wanted: Proposal) -> bool:
    return RiskGate(build_rules(LIMITS), ledger).judge([wanted]) is None


def test_what_was_realized_today_is_known_by_instrument_and_survives_a_restart() -> None:
    ledger = book()
    ledger.fill(INFY, Side.BUY, 5, 1_000.0)
    assert ledger.gains == {}
    ledger.fill(INFY, Side.SELL, 3, 1_010.0)
    assert ledger.gains == {"NSE:INFY": 30.0}
    again = Ledger.from_state(ledger.state())
    assert again.gains == ledger.gains
    again.roll(date(2026, 11, 23))
    assert again.gains == {}


# -- the kill switch that also flattens ---------------------------------------------------------------


def test_a_kill_that_flattens_says_so_to_every_process(tmp_path: Path) -> None:
    switch, other = KillSwitch(tmp_path / "kill"), KillSwitch(tmp_path / "kill")
    assert not other.flatten
    assert switch.engage("first")
    assert not other.flatten
    assert switch.engage("second", flatten=True)
    assert other.flatten
    assert other.reason == "first"
    assert not switch.engage("third", flatten=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kill"]
    assert switch.rearm()
    assert not other.flatten


def test_a_file_made_by_hand_flattens_nothing(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "kill")
    switch.path.write_text("by hand")
    assert (switch.reason, switch.flatten) == ("by hand", False)
    switch.path.write_text('["flatten"]')
    assert not switch.flatten
