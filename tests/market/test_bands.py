from __future__ import annotations

import pytest

from btkite.market.bands import Band
from btkite.values import Instrument, OrderType, Proposal, Side

BAND = Band(90.0, 110.0, 0)


def order(side: Side, price: float, trigger: float = 0.0) -> Proposal:
    kind = OrderType.SL if price and trigger else OrderType.SLM if trigger else OrderType.LIMIT
    return Proposal(
        ref=1, instrument=Instrument("NSE", "TEST"), side=side, quantity=1, order_type=kind, product="MIS",
        variety="regular", validity="DAY", price=price, trigger_price=trigger,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("side", "price", "trigger", "taken"),
    [
        (Side.BUY, 110.0, 0.0, True),
        (Side.BUY, 110.05, 0.0, False),
        (Side.SELL, 89.95, 0.0, False),
        (Side.SELL, 90.0, 0.0, True),
        (Side.BUY, 0.0, 110.05, False),
        (Side.SELL, 0.0, 89.95, False),
        (Side.BUY, 100.0, 110.05, False),
        (Side.SELL, 100.0, 89.95, False),
        (Side.SELL, 90.0, 110.05, True),
        (Side.BUY, 0.0, 0.0, True),  # at market
    ],
)
def test_prices_and_triggers_beyond_the_band_are_told(side, price, trigger, taken):
    assert (BAND.beyond(order(side, price, trigger)) is None) is taken


def test_a_quote_without_limits_has_no_band():
    assert Band.of({"lower_circuit_limit": 0, "upper_circuit_limit": 0}, 7) is None
    assert Band.of({}, 7) is None
    assert Band.of({"lower_circuit_limit": 90, "upper_circuit_limit": 110}, 7) == Band(90.0, 110.0, 7)


def test_a_price_is_brought_within():
    assert [BAND.within(price) for price in (1.0, 95.5, 200.0)] == [90.0, 95.5, 110.0]
