"""What the settings list beyond plain names: given rows, and chains of derivatives as of the first day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from .candles import DAY_SECONDS, CandleSeries
from .clock import day_from_number
from .generator import DEFAULT_FIRST_DAY, INDEX_OF, usual_price
from .instruments import InstrumentRow, chain_rows

if TYPE_CHECKING:
    from .settings import ExchangeSettings


def first_day(settings: ExchangeSettings, candles: Mapping[str, CandleSeries]) -> date | None:
    """The first day that is played, as far as the settings tell it before a market exists."""
    if settings.start is not None:
        return settings.start.date()
    if settings.seed is not None:
        return settings.generate_from or DEFAULT_FIRST_DAY
    firsts = [int(series.start[0]) // DAY_SECONDS for series in candles.values() if len(series)]
    return day_from_number(min(firsts)) if firsts else None


def explicit_rows(settings: ExchangeSettings, candles: Mapping[str, CandleSeries]) -> list[InstrumentRow]:
    """The rows of ``instruments``, and those of ``chains`` around the underlying's price."""
    rows = list(settings.instruments)
    day = first_day(settings, candles)
    if settings.chains and day is not None:

        def spot_of(name: str) -> float:
            for key in (INDEX_OF.get(name, ""), f"NSE:{name}", f"BSE:{name}"):
                if key in candles and len(candles[key]):
                    return float(candles[key].open[0])
            return usual_price(name)

        known = {row.key for row in rows}
        rows += [row for row in chain_rows(settings.chains, day, spot_of) if row.key not in known]
    return rows
