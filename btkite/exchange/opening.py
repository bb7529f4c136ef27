"""The instruments as they stand before the first print: tapes, price bands, the close of the day before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from . import schedule
from .candles import CandleSeries
from .clock import SECOND
from .errors import BadSettings
from .instruments import InstrumentRow
from .listing import FAR, Listing
from .reference import Reference
from .settings import ExchangeSettings
from .ticks import TickTape
from .ticks import load as load_ticks
from .timetable import auction_shares

ALL_PRINTS = 1 << 30  # of a candle: it is over
MOST_UNITS = 0xFFFF_FFFF  # shares or lots that a packet can say


def make_listings(
    rows: Sequence[InstrumentRow], candles: Mapping[str, CandleSeries], settings: ExchangeSettings
) -> list[Listing]:
    """The instruments with their tapes, whose ranks are their places. Raises BadSettings, BadCandles."""
    shares = auction_shares(rows, settings)
    recorded = load_ticks(settings.ticks)
    listings: list[Listing] = []
    for rank, row in enumerate(rows):
        series = candles.get(row.key)
        tape: schedule.Tape | None = None
        if row.key in recorded:
            tape = TickTape.record(rank, row, recorded[row.key])
        elif series is not None and len(series):
            tape = schedule.Tape.of(rank, row, series.rounded(row.decimals), auction=row.key in shares)
        if tape is not None:
            _check_carried(tape)
        listing = Listing(row, tape, settings.spread_ticks, _band(row, settings))
        if row.is_derivative and settings.lpp_seconds and "lpp" in settings.enforced:
            listing.reference = Reference(round(settings.lpp_seconds * SECOND))
        listings.append(listing)
    return listings


def _band(row: InstrumentRow, settings: ExchangeSettings) -> float | None:
    """The band of an instrument: its own, else an option's or everybody's."""
    if row.key in settings.price_bands:
        return settings.price_bands[row.key]
    return FAR if row.is_option and settings.price_band is not None else settings.price_band


def _check_carried(tape: schedule.Tape) -> None:
    """Raise BadSettings if Kite's packets cannot carry the prices or the day's volume of a tape."""
    row, series = tape.row, tape.series
    row.check_price(float(series.high.max()), "the highest recorded price")
    most = max(int(np.add.reduceat(series.volume, tape.first).max()), int(series.oi.max()))
    if not row.is_index and most > MOST_UNITS:
        raise BadSettings(
            f"{row.key} has a day's volume or an open interest of {most:,}, and Kite's packets end at {MOST_UNITS:,}: "
            "give fewer units"
        )


def stand_before(listing: Listing, day: int) -> None:
    """Put the listing where the last candle before ``day`` (a day number) left it."""
    tape = listing.tape
    if tape is None or (at := tape.last_before(day)) < 0:
        return
    series = tape.series
    number = int(series.start[at]) // schedule.DAY_SECONDS
    begin, _ = tape.slice_of(number)
    session = schedule.sessions_of(number, [tape])[tape.row.exchange]
    start, length = tape.spans(number, session)
    price = float(series.close[at])
    listing.last = listing.path = listing.shown = price
    listing.last_us = int(start[at - begin] + length[at - begin] - 1) * SECOND
    listing.candle, listing.candle_print = at, ALL_PRINTS
    listing.previous_close = price
