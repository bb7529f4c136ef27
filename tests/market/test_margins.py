from __future__ import annotations

import pytest

from btkite.errors import ConfigError
from btkite.market.margins import MarginRates, margin_rate, margin_required
from btkite.values import Instrument, Side

SHARE = Instrument("NSE", "SBIN")
FUTURE = Instrument("NFO", "NIFTY26NOVFUT", instrument_type="FUT", lot_size=65)
CALL = Instrument("NFO", "NIFTY26NOV25000CE", instrument_type="CE", strike=25_000, lot_size=65)
CRUDE = Instrument("MCX", "CRUDEOIL26NOVFUT", instrument_type="FUT", multiplier=100)
DOLLAR = Instrument("CDS", "USDINR26NOVFUT", instrument_type="FUT", multiplier=1000)


@pytest.mark.parametrize(
    ("instrument", "side", "product", "rate"),
    [
        (SHARE, Side.BUY, "CNC", 1.0),
        (SHARE, Side.BUY, "MIS", 0.2),
        (SHARE, Side.SELL, "MIS", 0.2),
        (SHARE, Side.BUY, "MTF", 0.5),
        (FUTURE, Side.SELL, "NRML", 0.15),
        (CALL, Side.BUY, "NRML", 1.0),
        (CALL, Side.SELL, "NRML", 0.15),
        (CRUDE, Side.BUY, "NRML", 0.15),
        (DOLLAR, Side.BUY, "NRML", 0.05),
    ],
)
def test_rates_by_kind_and_side(instrument: Instrument, side: Side, product: str, rate: float) -> None:
    assert margin_rate(instrument, side, product) == rate


def test_a_bought_option_costs_its_premium_and_a_sold_one_a_part_of_the_strike() -> None:
    assert margin_required(CALL, Side.BUY, "NRML", 65, 120.0) == 7_800
    assert margin_required(CALL, Side.SELL, "NRML", 65, 120.0) == pytest.approx(0.15 * 25_000 * 65)


def test_a_multiplier_counts() -> None:
    assert margin_required(CRUDE, Side.BUY, "NRML", 2, 6_000.0) == pytest.approx(0.15 * 2 * 6_000 * 100)


def test_leverage_is_a_setting() -> None:
    assert margin_rate(SHARE, Side.BUY, "MIS", MarginRates(intraday=1.0)) == 1.0


@pytest.mark.parametrize("rate", [0, -0.1, 1.1])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="margin rate future"):
        MarginRates(future=rate)
