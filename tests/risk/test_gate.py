"""The gate over the real ledger and rules; the kill switch in a real folder, and from another process."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from btkite.risk.gate import KillSwitch, RiskGate, State
from btkite.risk.ledger import Ledger
from btkite.risk.rules import build_rules
from btkite.values import Denial, Instrument, OrderType, Proposal, Side

INFY = Instrument("NSE", "INFY")
NOON = datetime(2026, 11, 20, 12, 0)
BUY, SELL = Side.BUY, Side.SELL


def order(ref: int, side: Side = BUY, quantity: int = 10, price: float = 100.0, **more: Any) -> Proposal:
    return Proposal(
        ref=ref,
        instrument=INFY,
        side=side,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        product="MIS",
        variety="regular",
        price=price,
        reference_price=price,
        **more,
    )


def bracket(ref: int, quantity: int = 10) -> list[Proposal]:
    return [
        order(ref, BUY, quantity),
        order(ref + 1, SELL, quantity, 95.0, parent=ref),
        order(ref + 2, SELL, quantity, 110.0, parent=ref),
    ]


def gate(held: int = 0, kill: KillSwitch | None = None, **limits: Any) -> RiskGate:
    ledger = Ledger(1_000_000.0)
    ledger.roll(NOON.date())
    if held:
        ledger.fill(INFY, BUY if held > 0 else SELL, abs(held), 100.0)
    return RiskGate(build_rules(limits), ledger, kill=kill)


def test_an_allowed_order_counts_from_then_on() -> None:
    judge = gate(max_daily_trades=2)
    assert judge.judge([order(1)]) is None
    assert judge.ledger.worst_case(INFY.key) == (10, 0)
    assert judge.judge([order(2)]) is None
    denial = judge.judge([order(3)])
    assert denial == Denial("MaxDailyTrades", "2 entries today, the limit is 2", "risk.max_daily_trades")
    assert judge.ledger.worst_case(INFY.key) == (20, 0)


def test_a_flood_cannot_get_ahead_of_its_first_fill() -> None:
    judge = gate(max_position_pct=1)
    allowed = [ref for ref in range(1, 41) if judge.judge([order(ref, quantity=7, price=476.15)]) is None]
    assert allowed == [1, 2, 3]  # 3 × 3,333.05 = 9,999.15; a fourth would pass 10,000


def test_a_bracket_is_one_entry_and_its_children_reduce() -> None:
    judge = gate(max_daily_trades=1, max_position_pct=0.1)
    assert judge.judge(bracket(1)) is None
    assert judge.ledger.entries_today == 1
    assert judge.ledger.worst_case(INFY.key) == (10, 0)
    assert [each.reduces for each in judge.classify(bracket(11))] == [False, True, True]


def test_if_one_member_is_denied_all_are() -> None:
    judge = gate()
    members = [*bracket(1)[:2], order(3, SELL, 0, 110.0, parent=1)]
    state = judge.ledger.state()
    denial = judge.judge(members)
    assert denial is not None
    assert denial.rule == "WholeQuantity"
    assert judge.ledger.state() == state
    assert (judge.judged, judge.denied) == (3, 3)


def test_a_denied_change_leaves_the_order_as_it_was() -> None:
    judge = gate(max_order_value=1_000)
    assert judge.judge([order(1)]) is None
    assert judge.judge([order(1, quantity=11)]) is not None
    assert judge.ledger.worst_case(INFY.key) == (10, 0)
    assert judge.judge([order(1, quantity=5)]) is None
    assert judge.ledger.worst_case(INFY.key) == (5, 0)


def test_what_a_proposal_claims_to_reduce_is_not_believed() -> None:
    judge = gate(max_order_value=100)
    assert judge.judge([order(1, reduces=True)]) is not None
    assert judge.judge([order(1, SELL, reduces=True)]) is not None


def test_asking_what_reduces_changes_nothing() -> None:
    judge = gate(held=10)
    state = judge.ledger.state()
    assert [each.reduces for each in judge.classify([order(1, SELL), order(2, SELL)])] == [True, False]
    assert judge.ledger.state() == state


@pytest.mark.parametrize("state", [State.REDUCING, State.HALTED])
def test_only_reducing_orders_pass_a_gate_that_is_not_active(state: State) -> None:
    judge = gate(held=10)
    if state is State.HALTED:
        judge.halt("the operator said so")
    else:
        judge.reduce_only("the stream is silent")
    denial = judge.judge([order(1)])
    assert denial is not None
    assert denial.reason.endswith("only orders that reduce the position pass")
    assert judge.reason in denial.reason
    assert judge.judge([order(2, SELL)]) is None
    assert judge.judge([order(3, SELL)]) is not None  # would turn it round


def test_a_gate_given_a_state_starts_in_it() -> None:
    ledger = Ledger(1e6)
    denial = RiskGate(build_rules({}), ledger, state=State.HALTED).judge([order(1)])
    assert denial is not None
    assert "the gate is halted" in denial.reason


def test_reducing_ends_by_itself_and_a_halt_only_by_a_person() -> None:
    judge = gate()
    judge.reduce_only("the stream is silent")
    judge.resume()
    assert (judge.state, judge.reason) == (State.ACTIVE, "")
    judge.halt("stop")
    judge.reduce_only("the stream is silent")
    judge.resume()
    assert (judge.state, judge.reason) == (State.HALTED, "stop")
    judge.rearm()
    assert (judge.state, judge.reason) == (State.ACTIVE, "")


def test_past_the_portfolio_loss_nothing_is_opened_until_a_person_arms_the_gate_again() -> None:
    judge = gate(held=1_000, max_portfolio_loss_pct=1)
    judge.ledger.mark(INFY.key, 89.99)
    first = judge.judge([order(1)])
    assert first is not None
    judge.ledger.mark(INFY.key, 110.0)  # the market comes back, the gate does not
    assert judge.state is State.HALTED
    assert judge.judge([order(2)]) == first
    assert judge.judge([order(3, SELL)]) is None
    restarted = RiskGate(judge.rules, Ledger.from_state(judge.ledger.state()))
    assert restarted.judge([order(4)]) == first
    assert restarted.reason == first.reason
    restarted.rearm()
    assert restarted.judge([order(5)]) is None


def test_an_order_that_cannot_be_understood_is_denied() -> None:
    judge = gate()
    denial = judge.judge([order(1), None])  # type: ignore[list-item]
    assert denial is not None
    assert denial.rule == "RiskGate"
    assert judge.ledger.worst_case(INFY.key) == (0, 0)


def test_the_summary_names_each_limit_that_bit() -> None:
    judge = gate(max_position_pct=10)
    assert judge.summary() == ""
    for ref in range(1, 41):
        judge.judge([order(ref, quantity=333, price=100.0)])
    assert judge.summary() == "37 of 40 orders denied: max position 10 % (risk.max_position_pct)"
    warming = Denial("warmup", "still warming up", "data.warmup")
    assert judge.deny(warming, 2) is warming
    assert judge.summary() == (
        "39 of 42 orders denied: 37 × max position 10 % (risk.max_position_pct), 2 × warmup (data.warmup)"
    )
    assert (judge.judged, judge.denied) == (42, 39)


# -- the kill switch ---------------------------------------------------------------------------------


def test_a_kill_survives_a_restart_until_it_is_armed_again(tmp_path: Path) -> None:
    file = tmp_path / "state" / "KILL"
    judge = gate(kill=KillSwitch(file))
    judge.halt("too many alerts", NOON)
    again = gate(held=10, kill=KillSwitch(file))
    assert again.state is State.HALTED
    assert again.reason == "the kill switch is engaged (too many alerts, since 2026-11-20 12:00:00)"
    assert again.judge([order(1)]) is not None
    assert again.judge([order(2, SELL)]) is None
    again.rearm()
    assert again.state is State.ACTIVE
    assert gate(kill=KillSwitch(file)).judge([order(1)]) is None


def test_a_second_kill_is_no_act_and_keeps_the_first_reason(tmp_path: Path) -> None:
    kill = KillSwitch(tmp_path / "KILL")
    assert kill.reason == ""
    assert kill.engage("first", NOON)
    assert not kill.engage("second", NOON)
    assert kill.reason.startswith("first")
    assert kill.rearm()
    assert not kill.rearm()
    assert not kill.engaged()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "set by hand"), (b"going home\n", "going home"), (b"[]", "[]"), (b"\xff\xfe", "its file cannot be read")],
)
def test_a_file_put_there_by_hand_is_enough(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "KILL"
    judge = gate(kill=KillSwitch(file))
    assert judge.judge([order(1)]) is None
    file.write_bytes(content)
    assert judge.state is State.HALTED
    assert KillSwitch(file).reason == reason
    assert judge.judge([order(2)]) is not None


def test_a_switch_that_cannot_be_read_counts_as_engaged(tmp_path: Path) -> None:
    blocker = tmp_path / "a file, no folder"
    blocker.touch()
    kill = KillSwitch(blocker / "KILL")
    assert kill.engaged()
    assert kill.reason == "its file cannot be read"


def test_another_process_can_stop_this_one(tmp_path: Path) -> None:
    file = tmp_path / "KILL"
    judge = gate(kill=KillSwitch(file))
    assert judge.judge([order(1)]) is None
    code = "import sys; from btkite.risk.gate import KillSwitch; KillSwitch(sys.argv[1]).engage('from outside')"
    subprocess.run([sys.executable, "-c", code, os.fspath(file)], check=True, timeout=60)
    denial = judge.judge([order(2)])
    assert denial is not None
    assert "from outside" in denial.reason


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no permission bits")
def test_the_switch_is_the_owners_alone(tmp_path: Path) -> None:
    kill = KillSwitch(tmp_path / "KILL")
    kill.engage("x")
    assert kill.path.stat().st_mode & 0o077 == 0


def test_a_pause_of_one_instrument_holds_its_entries_back_and_nobody_elses() -> None:
    judge = gate(held=10)
    judge.pause("stale", "no price for 60 s", INFY.key)
    judge.pause("other", "its feed is broken", "NSE:TCS")
    assert judge.state is State.ACTIVE
    assert set(judge.paused) == {"stale", "other"}
    denial = judge.judge([order(1)])
    assert denial is not None
    assert (denial.rule, denial.reason.startswith("no price for 60 s: ")) == ("stale", True)
    assert judge.judge([order(2, SELL, 10)]) is None  # what reduces passes
    judge.unpause("other")
    assert judge.judge([order(3)]) is not None
    judge.unpause("stale")
    assert judge.paused == {}
    assert judge.judge([order(4)]) is None


def test_pauses_do_not_lift_each_other() -> None:
    judge = gate()
    judge.pause("link", "the stream is down")
    judge.pause("clock", "the clock is off")
    judge.unpause("link")
    assert (judge.state, judge.reason) == (State.REDUCING, "the clock is off")
    denial = judge.judge([order(1)])
    assert denial is not None
    assert denial.rule == "clock"
    judge.unpause("clock")
    assert (judge.state, judge.reason) == (State.ACTIVE, "")
    assert judge.judge([order(2)]) is None


def test_a_kill_that_is_not_engaged_is_no_reason(tmp_path: Path) -> None:
    judge = gate(kill=KillSwitch(tmp_path / "kill"))
    judge.reduce_only("the account differs")
    assert judge.reason == "the account differs"
    judge.resume()
    assert judge.reason == ""


def test_only_the_rule_that_is_for_good_latches() -> None:
    """A limit of one order, that is passed beside one for good, is of that order alone."""
    judge = gate(max_order_value=500.0, max_portfolio_loss_pct=5)
    denial = judge.judge([order(1)])
    assert denial is not None
    assert denial.key == "risk.max_order_value"
    assert judge.ledger.latched is None
    assert judge.judge([order(2, quantity=5)]) is None
    judge.ledger.fill(INFY, BUY, 10_000, 100.0)
    judge.ledger.mark(INFY.key, 90.0)
    denial = judge.judge([order(3, quantity=1)])
    assert denial is not None
    assert denial == judge.ledger.latched
    assert judge.state is State.HALTED
