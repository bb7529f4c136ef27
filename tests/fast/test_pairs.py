"""The fast loop gives what backtrader's gives, to the last bit."""

from __future__ import annotations

import os
from typing import Any

import backtrader as bt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btkite.analyzers import Equity
from tests.parity.test_equality import MARKETS, ONE, THREE, Crosses, Everything, Witness, commissions, poor, scripts
from tests.parity.test_equality import markets as made_up_markets

from .pairs import ALL_ANALYZERS, Case, Counter, Curious, Middle, Quiet, assert_pair

RULES = ("backtrader", "path")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("market", MARKETS)
def test_every_kind_of_order_on_every_market_is_equal(market, rule):
    assert_pair(Case(MARKETS[market], rule, (Everything,)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("market", ["one", "holes", "days"])
def test_all_analyzers_of_backtrader_are_equal(market, rule):
    ours = (Counter, Equity, (Equity, {"warmup": True, "_name": "from the start"}))
    found = assert_pair(Case(MARKETS[market], rule, (Quiet2,), analyzers=(*ALL_ANALYZERS, *ours)))
    assert "Completed" in repr(found["strategy 0 saw"])


class Quiet2(Quiet):
    """In and out."""

    play = Everything.play
    order_kinds = Everything.order_kinds


PERIODS = [
    (kind, {"timeframe": timeframe, "compression": compression, "_name": f"{kind.__name__}{timeframe}{compression}"})
    for kind in (
        bt.analyzers.TimeReturn, bt.analyzers.Returns, bt.analyzers.LogReturnsRolling, bt.analyzers.TimeDrawDown,
        bt.analyzers.VWR,
    )
    for timeframe, compression in (
        (bt.TimeFrame.Minutes, 7), (bt.TimeFrame.Days, 1), (bt.TimeFrame.Weeks, 1), (bt.TimeFrame.Months, 1),
        (bt.TimeFrame.Years, 1), (bt.TimeFrame.NoTimeFrame, 1),
    )
]  # fmt: skip


@pytest.mark.parametrize("market", ["one", "late", "days"])
def test_periods_of_every_length_are_equal(market):
    assert_pair(Case(MARKETS[market], "backtrader", (Quiet2,), analyzers=tuple(PERIODS)))


class LastFirst(Quiet):
    """Trades its feeds from the last to the first: positions are made in another order than the feeds'."""

    def play(self) -> None:
        number = len(self)
        if number % 3 == 0 or number < 11:
            data = self.datas[-1 - number // 3 % len(self.datas)] if number > 10 else self.datas[-1]
            self.order_target_size(data, target=0 if number % 30 == 0 else 1 + number * 7 % 97)


@pytest.mark.parametrize("analyzers", [(), ("PyFolio",), (Counter, "PositionsValue")])
def test_the_account_is_added_up_in_the_order_in_which_positions_were_made(analyzers):
    for market in ("three", "holes", "late"):
        assert_pair(Case(MARKETS[market], "backtrader", (LastFirst,), analyzers=analyzers, setup=slipping))


def slipping(cerebro: Any) -> None:
    """Prices that are no round numbers."""
    cerebro.broker.set_slippage_perc(0.00037)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {"strategies": (Crosses, Everything)},
        {"timer": True},
        {"setup": poor},
        {"stdstats": False},
        {"strategies": (Curious,), "analyzers": ALL_ANALYZERS},
        {"observers": (Middle, bt.observers.DrawDown, bt.observers.TimeReturn, bt.observers.Value)},
        {"analyzers": (Counter, "DrawDown")},
    ],
    ids=lambda more: "-".join(more),
)
def test_whatever_is_added_is_equal(more, quick, rule):
    case = {"strategies": (Everything,), "quicknotify": quick, **more}
    assert_pair(Case(THREE, rule, **case))
    if "strategies" in more:
        assert_pair(Case(ONE, rule, **case))


@pytest.mark.parametrize(
    "more", [{"setup": commissions}, {"cheat": True}, {"resampled": True}], ids=lambda more: "-".join(more)
)
def test_what_only_backtraders_rule_has_is_equal(more):
    assert_pair(Case(THREE, "backtrader", (Everything,), analyzers=ALL_ANALYZERS, **more))
    assert_pair(Case(THREE, "stock broker", (Quiet2,), analyzers=ALL_ANALYZERS, **more))


EXAMPLES = int(os.environ.get("BTKITE_EXAMPLES", 2000 if os.environ.get("BTKITE_SOAK") else 40))


@pytest.mark.timeout(3600 if EXAMPLES > 200 else 120)
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    series=made_up_markets(),
    script=scripts(),
    rule=st.sampled_from(RULES),
    quick=st.booleans(),
    kind=st.sampled_from([Witness, Quiet, Curious]),
    analyzers=st.lists(st.sampled_from([*ALL_ANALYZERS, Counter, Equity]), unique=True, max_size=6),
    more=st.sampled_from([{}, {"timer": True}, {"stdstats": False}, {"observers": (Middle,)}, {"setup": poor}]),
)
def test_made_up_strategies_are_equal(series, script, rule, quick, kind, analyzers, more: dict[str, Any]):
    if "AnnualReturn" in analyzers and "stdstats" in more:
        analyzers = [name for name in analyzers if name != "AnnualReturn"]  # it looks at the broker's observer
    case = Case(series, rule, (kind,), {"script": script}, quick, analyzers=tuple(analyzers), **more)
    assert_pair(case)
