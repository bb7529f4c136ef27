"""Contracts by what they mean, chains and expiries, and what a contract's move is worth: for a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from .errors import ConfigError, DataError
from .market.naming import described, multiplier_of
from .market.segments import CURRENCY

if TYPE_CHECKING:
    from .values import Instrument

IN_LOTS = ("MCX", *CURRENCY)
"""Where Kite counts quantities in lots, so that a multiplier makes rupees of them. Its dump has none."""


def valued(instrument: Instrument, on: date) -> Instrument:
    """``instrument`` with the rupees that one lot's move of one rupee is worth, by the dated table.

    :raises DataError: if the table does not know it: P&L, margin and risk would all be wrong.
    """
    derivative = instrument.is_future or instrument.is_option
    if instrument.exchange not in IN_LOTS or not derivative or instrument.multiplier != 1.0:
        return instrument
    units = multiplier_of(instrument.exchange, instrument.name, instrument.expiry or on)
    if units is None:
        try:
            units = described(instrument.key).multiplier
        except (ConfigError, DataError):
            raise DataError(
                f"{instrument.key}: how many rupees one lot of {instrument.name} moves is not known "
                "(btkite/data/multipliers.csv), so that it can neither be valued nor traded"
            ) from None
    return replace(instrument, multiplier=units)
