"""Sizers on a broker of ours: what they ask for is whole lots, what Kite takes, and what the gate lets through."""

from __future__ import annotations

import math
from datetime import date

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.sizers import (
    FixedQuantity,
    FixedRupees,
    Kelly,
    MarginShare,
    PercentOfValue,
    RiskPerTrade,
    Volatility,
    kelly_fraction,
    largest_size,
)
from btkite.testing import bars, run_strategy
from btkite.values import Instrument

FUTURE = "NFO:NIFTY26NOVFUT"
LIMITS = {"risk.enabled": True, "broker.charges": False}


class Asks(bt.Strategy):
    """Asks its sizer on the last bar but one, and gives an order of that size; with a position and an entry that rests
    far from the market, if they are asked for."""

    params = (("isbuy", True), ("held", 0), ("rests", 0))

    def __init__(self):
        self.size, self.statuses, self.why = None, [], ""

    def next(self):
        if len(self) == 1 and self.p.held:
            self.buy(size=self.p.held) if self.p.held > 0 else self.sell(size=-self.p.held)
        if len(self) == 2 and self.p.rests:
            price = round(self.data.close[0] * (0.5 if self.p.rests > 0 else 1.5) * 20) / 20
            give = self.buy if self.p.rests > 0 else self.sell
            give(size=abs(self.p.rests), exectype=bt.Order.Limit, price=price)
        if len(self) == 20:
            self.before = self.broker.portfolio
            self.size = self.getsizing(self.data, isbuy=self.p.isbuy)
            self.order = (self.buy if self.p.isbuy else self.sell)(size=self.size) if self.size else None

    def notify_order(self, order):
        if order is getattr(self, "order", None) or (self.size and len(self) >= 20):
            self.statuses.append(order.getstatusname())
            self.why = order.info.get("denied", "")


def asked(sizer, *, symbol="NSE:TEST", price=100.0, cash=100_000.0, lot=1, config=None, isbuy=True, held=0, span=0.0,
          rests=0, **params):  # fmt: skip
    rows = [(price, price + span / 2, price - span / 2, price)] * 22
    feed = bars.from_rows(rows, symbol=symbol)

    class Sized(Asks):
        def __init__(self):
            super().__init__()
            instrument = self.data.instrument
            self.data.instrument = Instrument(
                instrument.exchange, instrument.tradingsymbol, name=instrument.name, strike=instrument.strike,
                instrument_type=instrument.instrument_type, segment=instrument.segment, lot_size=lot,
                multiplier=instrument.multiplier,
            )  # fmt: skip
            self._sizer = sizer(**params)
            self._sizer.set(self, self.broker)

    return run_strategy(
        Sized, feed, cash=cash, config={**LIMITS, **(config or {})}, isbuy=isbuy, held=held, rests=rests
    ).strategy


def test_a_size_is_cut_to_the_largest_position_that_is_allowed():
    ran = asked(PercentOfValue, percent=50)
    assert ran.size == 100  # 10 % of ₹1,00,000 at ₹100; a share more is denied
    assert ran.statuses[-1] == "Completed"


def test_the_tightest_limit_counts():
    assert asked(PercentOfValue, percent=50, config={"risk.max_order_value": 4_950.0}).size == 49
    assert asked(FixedQuantity, quantity=5_000, config={"risk.max_position_pct": 100}).size == 1_000


def test_what_is_held_counts():
    assert asked(FixedRupees, rupees=8_000, held=60).size == 40


def test_if_not_one_lot_passes_the_gate_says_why():
    ran = asked(FixedQuantity, quantity=130, symbol=FUTURE, price=25_000.0, lot=65)
    assert ran.size == 65
    assert ran.statuses[-1] == "Rejected"
    assert "risk.max_position_pct" in ran.why


def test_what_reduces_is_not_cut():
    ran = asked(FixedQuantity, quantity=90, held=90, isbuy=False, config={"risk.max_order_value": 9_500.0})
    assert ran.size == 90
    assert asked(FixedQuantity, quantity=90, isbuy=False, config={"risk.max_order_value": 8_500.0}).size == 85


def test_a_share_of_the_margin_counts_what_the_contract_ties_up():
    config = {"risk.enabled": False}
    lots = asked(MarginShare, percent=50, symbol=FUTURE, price=25_000.0, lot=65, cash=1e6, config=config)
    assert lots.size == 2 * 65  # ₹5,00,000 at ₹2,43,750 a lot
    sold = asked(
        MarginShare,
        percent=50,
        symbol="NFO:NIFTY26NOV25000CE",
        price=100.0,
        lot=65,
        cash=1e6,
        config=config,
        isbuy=False,
    )
    assert sold.size == 2 * 65
    assert sold.statuses[-1] == "Completed"
    assert asked(MarginShare, percent=50, config={**config, "broker.leverage": 5.0}).size == 2_500


def test_no_order_is_larger_than_its_slices():
    config = {"risk.enabled": False}
    ran = asked(FixedQuantity, quantity=1_000_000, symbol=FUTURE, price=1.0, lot=65, cash=1e9, config=config)
    assert ran.size == 10 * 1_755  # the freeze quantity of 1,800 in whole lots, ten times
    assert ran.statuses[-1] == "Completed"


def test_volatility_makes_one_range_worth_a_share_of_the_value():
    config = {"risk.enabled": False}
    assert asked(Volatility, percent=0.5, span=4.0, max_percent=None, config=config).size == 125
    assert asked(Volatility, percent=0.5, span=4.0, config=config).size == 100
    assert asked(Volatility, percent=0.5, span=0.0, config=config).size == 0
    assert asked(Volatility, percent=0.5, atr=40, span=4.0, config=config).size == 0


@pytest.mark.parametrize(
    ("win_rate", "payoff", "share"),
    [(0.5, 2.0, 0.25), (0.6, 1.0, 0.2), (0.5, 1.0, 0.0), (0.2, 2.0, 0.0), (1.0, 1.0, 1.0)],
)
def test_kellys_fraction(win_rate, payoff, share):
    assert kelly_fraction(win_rate, payoff) == pytest.approx(share)


def test_kelly_takes_a_part_and_never_more_than_its_cap():
    config = {"risk.enabled": False}
    assert asked(Kelly, win_rate=0.5, payoff=2.0, cap=50, config=config).size == 125
    assert asked(Kelly, win_rate=0.5, payoff=2.0, cap=10, config=config).size == 100
    assert asked(Kelly, win_rate=0.3, payoff=1.0, config=config).size == 0


@pytest.mark.parametrize(
    ("sizer", "params", "said"),
    [
        (FixedQuantity, {"quantity": 0}, "quantity"),
        (Kelly, {}, "win_rate"),
        (Kelly, {"win_rate": 1.2, "payoff": 1.0}, "between 0 and 1"),
        (Kelly, {"win_rate": 0.5, "payoff": 0}, "payoff"),
        (Volatility, {"percent": -1}, "percent"),
        (MarginShare, {"percent": 0}, "percent"),
    ],
)
def test_senseless_settings_are_refused(sizer, params, said):
    from btkite.errors import ConfigError

    with pytest.raises(ConfigError, match=said):
        asked(sizer, **params)


def test_freeze_quantities_are_those_of_the_day():
    class Data:
        instrument = Instrument("NFO", "NIFTY26NOVFUT", name="NIFTY", instrument_type="FUT", lot_size=50)

        def __init__(self, day):
            self.datetime = type("Line", (), {"date": staticmethod(lambda ago: day)})()

        def __len__(self):
            return 1

    assert [largest_size(Data(date(year, 6, 1))) for year in (2022, 2024)] == [28_000, 18_000]
    assert largest_size(Data(date(2020, 6, 1))) == math.inf  # not known


SIZERS = st.one_of(
    st.tuples(st.just(FixedQuantity), st.fixed_dictionaries({"quantity": st.integers(1, 100_000)})),
    st.tuples(st.just(FixedRupees), st.fixed_dictionaries({"rupees": st.floats(100, 1e8)})),
    st.tuples(st.just(PercentOfValue), st.fixed_dictionaries({"percent": st.floats(0.1, 200)})),
    st.tuples(
        st.just(RiskPerTrade), st.fixed_dictionaries({"percent": st.floats(0.01, 20), "stop": st.floats(0.05, 50)})
    ),
    st.tuples(st.just(Volatility), st.fixed_dictionaries({"percent": st.floats(0.01, 20)})),
    st.tuples(
        st.just(Kelly),
        st.fixed_dictionaries({"win_rate": st.floats(0, 1), "payoff": st.floats(0.1, 10), "cap": st.floats(1, 100)}),
    ),
    st.tuples(st.just(MarginShare), st.fixed_dictionaries({"percent": st.floats(1, 150)})),
)


@given(
    SIZERS, st.sampled_from([("NSE:TEST", 1), (FUTURE, 65), ("MCX:CRUDEOIL26NOVFUT", 1)]),
    st.integers(20, 400_000).map(lambda steps: steps / 20), st.floats(10_000, 1e8), st.booleans(),
    st.sampled_from(
        [{}, {"risk.max_order_value": 50_000.0}, {"risk.max_position_pct": 100.0}, {"risk.enabled": False}]
    ),
    st.floats(0, 10),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_every_size_is_whole_lots_and_passes_the_gate_or_is_one_lot(sizer, kind, price, cash, isbuy, config, span):
    (make, params), (symbol, lot) = sizer, kind
    span = round(min(span, price / 2) / 0.1) * 0.1
    ran = asked(make, symbol=symbol, lot=lot, price=price, cash=cash, config=config, isbuy=isbuy, span=span, **params)
    assert ran.size >= 0
    assert ran.size % lot == 0
    if ran.size > lot:
        assert ran.why == ""
        assert ran.statuses[-1] in ("Completed", "Partial")
    elif ran.why:
        assert ran.size == lot


PAISA = 0.01


def budget(sizer, params, now, price, units, span, margin):
    """₹ that the sizer may spend, and ₹ that one unit takes of that: read from its words, not from its code."""
    share = {
        FixedQuantity: lambda: (params["quantity"], 1),
        FixedRupees: lambda: (params["rupees"], price * units),
        PercentOfValue: lambda: (now.total_value * params["percent"] / 100, price * units),
        RiskPerTrade: lambda: (now.total_value * params["percent"] / 100, params["stop"] * units),
        Volatility: lambda: (now.total_value * params["percent"] / 100, span * units),
        Kelly: lambda: (
            now.total_value
            * min(params["cap"] / 100, max(0, params["win_rate"] - (1 - params["win_rate"]) / params["payoff"]) / 2),
            price * units,
        ),
        MarginShare: lambda: (now.margins.cash * params["percent"] / 100, margin),
    }
    return share[sizer]()


@given(
    SIZERS, st.sampled_from([("NSE:TEST", 1), (FUTURE, 65), ("MCX:CRUDEOIL26NOVFUT", 1)]),
    st.integers(100, 60_000).map(lambda steps: steps / 20), st.floats(50_000, 1e8), st.booleans(),
    st.integers(-3, 3), st.integers(-3, 3),
    st.sampled_from(
        [{}, {"risk.max_order_value": 50_000.0}, {"risk.max_position_pct": 100.0}, {"broker.leverage": 5.0}]
    ),
    st.floats(0.1, 10),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_no_size_is_above_its_sizers_budget_or_any_limit_whatever_is_held_and_rests(
    sizer, kind, price, cash, isbuy, held, rests, config, span
):
    (make, params), (symbol, lot) = sizer, kind
    span = round(min(span, price / 2) / 0.1) * 0.1
    ran = asked(
        make, symbol=symbol, lot=lot, price=price, cash=cash, config=config, isbuy=isbuy, span=span, held=held * lot,
        rests=rests * lot, **params,
    )  # fmt: skip
    now, size = ran.before, ran.size
    assert size >= 0
    assert size % lot == 0
    assert size <= largest_size(ran.data)
    units = ran.data.instrument.multiplier
    margin = ran.broker.margin_of_unit(ran.data, isbuy)
    spends, each = budget(make, params, now, price, units, span, margin)
    assert size * each <= spends * (1 + 1e-9) + PAISA
    line = now.line(symbol)
    had = line.quantity if line is not None else 0
    after = had + (size if isbuy else -size)
    if size > lot and abs(after) > abs(had):  # it opens: by hand, each limit that was set
        assert ran.why == ""
        if symbol.startswith("NSE:"):  # of contracts, risk.md says what counts
            most = config.get("risk.max_position_pct", 10.0)
            assert abs(after) * price <= now.total_value * most / 100 + PAISA
        if "risk.max_order_value" in config:
            assert size * price * units <= config["risk.max_order_value"] + PAISA
