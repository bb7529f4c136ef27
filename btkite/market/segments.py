"""What an instrument is, for tables that differ by it: trading hours, charges, ticks, margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..values import Instrument
    from .calendar import InstrumentClass

Segment = Literal["eq", "fut", "opt", "cur_fut", "cur_opt", "com_fut", "com_opt", "index"]
"""``index`` is the index itself, which cannot be traded."""

EQUITY_DERIVATIVES = ("NFO", "BFO")
CURRENCY = ("CDS", "BCD")
COMMODITY = ("MCX", "NCO")


def classify(instrument: Instrument) -> Segment:
    """The segment that an instrument's charges and margins follow."""
    if instrument.segment == "INDICES":
        return "index"
    if not (instrument.is_future or instrument.is_option):
        return "eq"
    if instrument.exchange in CURRENCY:
        return "cur_fut" if instrument.is_future else "cur_opt"
    if instrument.exchange in COMMODITY:
        return "com_fut" if instrument.is_future else "com_opt"
    return "fut" if instrument.is_future else "opt"


_HOURS: dict[Segment, InstrumentClass] = {
    "eq": "noncas",
    "index": "noncas",
    "fut": "futures",
    "opt": "options",
    "cur_fut": "currency",
    "cur_opt": "currency",
    "com_fut": "commodity",
    "com_opt": "commodity",
}


def instrument_class(instrument: Instrument, *, closing_auction: bool = False) -> InstrumentClass:
    """The calendar's class of an instrument.

    ``closing_auction`` says that a share has derivatives, so that since 2026-08-03 its continuous
    trading ends at 15:15; the instrument itself does not tell.
    """
    segment = classify(instrument)
    return "cas" if closing_auction and segment == "eq" else _HOURS[segment]
