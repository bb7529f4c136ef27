"""How much money an order ties up: a rough estimate for simulated accounts.

Real margins (SPAN, exposure, VaR, spreads) change daily and are asked of Kite in live trading. These
rates are round figures of the field that keep a simulation from trading on credit it would not get.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..values import Side
from .segments import classify

if TYPE_CHECKING:
    from ..values import Instrument


@dataclass(frozen=True, slots=True)
class MarginRates:
    """Shares of the traded value. ``intraday``: MIS in shares (0.2 is five times leverage); ``future`` and
    ``option_sale``: SPAN and exposure together; ``currency`` likewise; ``mtf``: the client's part."""

    intraday: float = 0.2
    future: float = 0.15
    option_sale: float = 0.15
    currency: float = 0.05
    mtf: float = 0.5

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"margin rate {name} is {getattr(self, name)}; it must be above 0 and at most 1")


DEFAULT = MarginRates()


def margin_rate(instrument: Instrument, side: Side, product: str, rates: MarginRates = DEFAULT) -> float:
    """The part of :func:`margin_base` that an opening order ties up, 0 to 1. Approximate.

    A bought option and a delivery cost all of their value.
    """
    segment = classify(instrument)
    if segment in ("eq", "index"):
        return {"CNC": 1.0, "MTF": rates.mtf}.get(product, rates.intraday)
    if instrument.is_option:
        if side is Side.BUY:
            return 1.0
        return rates.currency if segment == "cur_opt" else rates.option_sale
    return rates.currency if segment == "cur_fut" else rates.future


def margin_base(instrument: Instrument, side: Side, quantity: int, price: float) -> float:
    """Rupees to which the rate applies: the traded value, for a sold option the strike's."""
    per_unit = instrument.strike if instrument.is_option and side is Side.SELL else price
    return per_unit * quantity * instrument.multiplier


def margin_required(
    instrument: Instrument,
    side: Side,
    product: str,
    quantity: int,
    price: float,
    rates: MarginRates = DEFAULT,
) -> float:
    """Rupees that opening ``quantity`` at ``price`` ties up. Approximate; see the module's words."""
    return margin_rate(instrument, side, product, rates) * margin_base(instrument, side, quantity, price)
