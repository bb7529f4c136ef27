"""What the settings list beyond plain names: given rows, and chains of derivatives as of the first day."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from .candles import DAY_SECONDS, CandleSeries
from .clock import day_from_number
from .contracts import INDEX_OF
from .errors import BadSettings
from .generator import DEFAULT_FIRST_DAY, usual_price
from .instruments import InstrumentRow, chain_rows

if TYPE_CHECKING:
    from .settings import ExchangeSettings

_ALIKE = 0.92  # of two keys: one letter more or less in a short symbol


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
            if settings.seed is not None:
                return usual_price(name)  # the strikes are chosen before there are candles
            for key in (INDEX_OF.get(name, ""), f"NSE:{name}", f"BSE:{name}"):
                if key in candles and len(candles[key]):
                    return float(candles[key].open[0])
            return usual_price(name)

        known = {row.key for row in rows}
        chained = chain_rows(settings.chains, day, spot_of, settings.lot_sizes)
        rows += [row for row in chained if row.key not in known]
    return rows


def check_names(settings: ExchangeSettings, rows: Iterable[InstrumentRow], candles: Mapping[str, CandleSeries]) -> None:
    """Raise BadSettings for a setting of an instrument that is not listed here: it would do nothing in silence.

    A holding may be of what has no prices, but not if its name is almost that of something that has.
    """
    rows = list(rows)
    keys = {row.key for row in rows}
    names = {row.name for row in rows if row.is_derivative}
    for name, given, known, kind in (
        ("tick_sizes", settings.tick_sizes, keys, "listed here"),
        ("lot_sizes", settings.lot_sizes, keys | names, "listed here"),
        ("price_bands", settings.price_bands, keys, "listed here"),
        ("securities", settings.securities, keys, "listed here"),
        ("auction_shares", settings.auction_shares or (), keys, "listed here"),
        ("auctions", settings.auctions, keys, "listed here"),
        ("settlement_prices", settings.settlement_prices, names, "the underlying of a contract listed here"),
    ):
        _must_be(name, given, known, kind)
    priced = {*candles, *settings.symbols, *settings.ticks, *(row.key for row in settings.instruments)}
    for one in settings.holdings:
        near = difflib.get_close_matches(one, sorted(priced), 1, cutoff=_ALIKE)
        if one not in priced and near and near[0].partition(":")[0] == one.partition(":")[0]:
            raise BadSettings(f"holdings: {one!r} has no prices here; did you mean {near[0]!r}?")


def _must_be(setting: str, given: Iterable[str], known: set[str], kind: str) -> None:
    for one in given:
        if one not in known:
            near = difflib.get_close_matches(one, sorted(known), 1) or [
                key for key in sorted(known) if key.partition(":")[2] == one
            ]
            hint = f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(sorted(known)[:8]) or 'none'}"
            raise BadSettings(f"{setting}: {one!r} is not {kind}{hint}")
