"""A loss limit is passed at the same bar in the fast loop, which leaves bars out, as where each is looked at."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parity.test_equality import ONE, THREE, Everything, Witness, scripts
from tests.parity.test_equality import markets as made_up_markets

from .pairs import Case, Quiet, assert_pair

EXAMPLES = int(os.environ.get("BTKITE_EXAMPLES", 1000 if os.environ.get("BTKITE_SOAK") else 40))
LOOSE = {"risk.max_position_pct": 100.0, "risk.max_portfolio_loss_pct": 100.0, "risk.max_daily_trades": None}


class Holder(Quiet):
    """Buys once its indicators are warm, or sells short, and looks at nothing any more."""

    params = (("size", 100), ("first", 30))

    def next(self) -> None:
        if len(self) == self.p.first:
            for data in self.datas:
                self.order_target_size(data, self.p.size)
        if len(self) == self.p.first + 1:
            self.buy(size=1, exectype=self.order_kinds[0], price=self.data.close[0] / 2)

    order_kinds = (2,)  # Limit


LIMITS: list[dict[str, Any]] = [
    {"risk.max_daily_loss": 20.0},
    {"risk.max_daily_loss": 20.0, "risk.on_daily_loss": "flatten"},
    {"risk.max_daily_loss_pct": 0.05, "risk.on_daily_loss": "flatten"},
    {"risk.max_drawdown_pct": 0.05, "risk.on_halt": "flatten"},
    {"risk.max_drawdown_pct": 0.1},
    {"risk.max_portfolio_loss_pct": 0.05, "risk.on_halt": "flatten"},
    {"risk.max_portfolio_loss_pct": 0.02, "risk.max_daily_loss": 10.0, "risk.on_daily_loss": "flatten"},
]


STREAK = {"risk.max_loss_streak": 1, "risk.reduce_at_pct": 50, "risk.max_daily_loss": 30.0}


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: "-".join(map(str, limits.values())))
@pytest.mark.parametrize("size", [100, -100, 3])
@pytest.mark.parametrize("series", [ONE, THREE], ids=["one", "three"])
def test_a_limit_is_passed_at_the_same_bar(series, size, limits):
    assert_pair(Case(series, "path", (Holder,), {"size": size}, stdstats=False, config={**LOOSE, **limits}))


def test_these_limits_are_passed_by_some():
    passed = [
        assert_pair(Case(ONE, "path", (Holder,), {"size": size}, stdstats=False, config={**LOOSE, **limits}))[
            "limits passed"
        ]
        for limits in LIMITS
        for size in (100, -100)
    ]
    assert sum("lost" in one or "worth" in one for one in passed) >= 5


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    series=made_up_markets(),
    script=scripts(),
    quick=st.booleans(),
    kind=st.sampled_from([Witness, Quiet]),
    limits=st.sampled_from(
        [*LIMITS, {"risk.max_loss_streak": 1, "risk.reduce_at_pct": 50, "risk.max_daily_loss": 30.0}]
    ),
)
def test_made_up_strategies_lose_alike(series, script, quick, kind, limits):
    assert_pair(Case(series, "path", (kind,), {"script": script}, quick, config={**LOOSE, **limits}))


def test_every_kind_of_order_under_some_limits():
    for limits in LIMITS[1::2]:
        assert_pair(Case(THREE, "path", (Everything,), config={**LOOSE, **limits}))
