"""Made-up candles that look like a market's: the same seed gives the same candles, on every machine.

A session's minutes follow a random walk whose size and volume are U-shaped over the day (busy at the open
and the close), with a gap overnight; candles of any interval are grouped from the same minutes. Futures and
options follow their underlying's own path, futures with a cost of carry, options by Black and Scholes with a
smile, so that a straddle behaves and a hedge hedges.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import contracts, hours
from .candles import DAY_SECONDS, CandleSeries, interval_seconds
from .clock import day_from_number, day_number
from .errors import BadSettings
from .instruments import LOTS_COUNTED, InstrumentRow, describe, lot_given
from .timetable import auction_shares

if TYPE_CHECKING:
    from .settings import ExchangeSettings

# Where the walk of a known name begins, rupees; any other name gets a price from its letters.
BASE_PRICES = {
    "NIFTY 50": 26000.0,
    "NIFTY": 26000.0,
    "NIFTY BANK": 58500.0,
    "BANKNIFTY": 58500.0,
    "SENSEX": 85000.0,
    "RELIANCE": 1500.0,
    "INFY": 1500.0,
    "TCS": 3100.0,
    "HDFCBANK": 1000.0,
    "ICICIBANK": 1370.0,
    "SBIN": 970.0,
    "ITC": 405.0,
    "FINNIFTY": 27500.0,
    "NIFTY FIN SERVICE": 27500.0,
    "MIDCPNIFTY": 13800.0,
    "NIFTY MID SELECT": 13800.0,
    "NIFTYNXT50": 69000.0,
    "NIFTY NEXT 50": 69000.0,
    "BANKEX": 65000.0,
    "SENSEX50": 27500.0,
    "SNSX50": 27500.0,
    "INDIA VIX": 13.0,
    "INDIAVIX": 13.0,
    "USDINR": 88.0,
    "EURINR": 98.0,
    "GBPINR": 113.0,
    "JPYINR": 57.0,  # of 100 yen
    "CRUDEOIL": 6000.0,
    "CRUDEOILM": 6000.0,
    "NATURALGAS": 350.0,
    "NATGASMINI": 350.0,
    "GOLD": 120000.0,  # of 10 g
    "GOLDM": 120000.0,
    "GOLDTEN": 120000.0,
    "GOLDGUINEA": 96000.0,
    "GOLDPETAL": 12000.0,
    "SILVER": 150000.0,  # of a kg
    "SILVERM": 150000.0,
    "SILVERMIC": 150000.0,
    "COPPER": 950.0,
    "ZINC": 290.0,
    "ZINCMINI": 290.0,
    "LEAD": 180.0,
    "LEADMINI": 180.0,
    "ALUMINIUM": 260.0,
    "ALUMINI": 260.0,
    "MENTHAOIL": 950.0,
}
CURRENCIES = ("CDS", "BCD")
CURRENCY_VOLATILITY = 0.003
DAILY_VOLATILITY = 0.012  # a currency's is a quarter of it
USUAL_VOLUME = 8000.0  # of a quiet minute, in shares
STEPS = 4  # of the walk within a minute
OPTION_VOLATILITY = 0.2  # a year, at the money: a little above the walk's own
SMILE = 1.5  # how volatility grows with the square of the distance of strike and spot
CARRY = 0.06  # a year
DEFAULT_FIRST_DAY = date(2026, 11, 2)
_ERF = np.frompyfunc(math.erf, 1, 1)


def _random(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each name."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def usual_price(symbol: str, exchange: str = "") -> float:
    """Where the walk of ``symbol`` begins, in rupees; ``exchange`` tells a currency, which is never in thousands."""
    least, span = (50, 70) if exchange in CURRENCIES else (100, 2900)
    return BASE_PRICES.get(symbol) or float(least + zlib.crc32(symbol.encode()) % span)


def trading_days(exchange: str, first: date, sessions: int) -> list[date]:
    """The next ``sessions`` days on which ``exchange`` is open, from ``first`` on."""
    days: list[date] = []
    day = first
    while len(days) < sessions:
        if hours.session(exchange, day) is not None:
            days.append(day)
        day += timedelta(days=1)
        if (day - first).days > 3 * sessions + 400:
            raise BadSettings(f"{exchange} has no {sessions} sessions from {first}: begin earlier")
    return days


def _minutes(
    exchange: str, days: list[date], random: np.random.Generator, price: float, volume: float, volatility: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Starts, the prices within each minute (opening price first), and volumes."""
    starts, paths, volumes = [], [], []
    for day in days:
        opens, closes = hours.session_for_candles(exchange, day)
        count = (closes - opens) // 60
        place = np.linspace(-1.0, 1.0, count)
        shape = 0.6 + 1.2 * place**2
        scale = volatility / math.sqrt(count * STEPS) * np.repeat(shape, STEPS) / shape.mean()
        steps = random.standard_normal(count * STEPS) * scale
        price *= math.exp(random.standard_normal() * volatility * 0.3)  # overnight
        walk = price * np.exp(np.cumsum(steps))
        before = np.r_[price, walk[STEPS - 1 :: STEPS][:-1]]
        paths.append(np.column_stack([before, walk.reshape(count, STEPS)]))
        starts.append(day_number(day) * DAY_SECONDS + opens + 60 * np.arange(count, dtype=np.int64))
        volumes.append(np.rint(random.gamma(2.0, volume / 2.0, count) * shape**2).astype(np.int64))
        price = float(walk[-1])
    return np.concatenate(starts), np.concatenate(paths), np.concatenate(volumes)


def _candles(
    starts: NDArray[np.int64],
    paths: NDArray[np.float64],
    volumes: NDArray[np.int64],
    interval: str,
    tick: float,
    interest: NDArray[np.int64] | None = None,
) -> CandleSeries:
    """Candles of ``interval`` from minutes, on tick."""
    ticks = np.maximum(np.rint(paths / tick), 1.0)
    decimals = max(0, -math.floor(math.log10(tick)) + 1)
    prices = np.round(ticks * tick, decimals)
    days = starts // DAY_SECONDS
    if interval == "day":
        group = days * DAY_SECONDS
    else:
        unique, first_of_day = np.unique(days, return_index=True)
        anchors = starts[first_of_day][np.searchsorted(unique, days)]
        group = anchors + (starts - anchors) // interval_seconds(interval) * interval_seconds(interval)
    first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    last = np.append(first[1:], len(group)) - 1
    return CandleSeries(
        interval=interval,
        start=group[first].astype("datetime64[s]"),
        open=prices[first, 0],
        high=np.maximum.reduceat(prices.max(axis=1), first),
        low=np.minimum.reduceat(prices.min(axis=1), first),
        close=prices[last, -1],
        volume=np.add.reduceat(volumes, first),
        oi=None if interest is None else interest[last],
    )


def generate(
    symbol: str,
    start_date: date,
    sessions: int,
    interval: str = "minute",
    seed: int = 1,
    base_price: float | None = None,
    tick: float = 0.05,
    volume: float = USUAL_VOLUME,
) -> CandleSeries:
    """Candles of ``EXCHANGE:SYMBOL`` for ``sessions`` trading days from ``start_date`` on.

    ``base_price`` in rupees, ``volume`` the mean of a quiet minute in shares (an index has none).
    """
    row = describe(symbol)
    days = trading_days(row.exchange, start_date, sessions)
    return _walk(row, days, interval, seed, base_price, tick, volume)


def _walk(
    row: InstrumentRow,
    days: list[date],
    interval: str,
    seed: int,
    base_price: float | None,
    tick: float,
    volume: float,
    before: date | None = None,
) -> CandleSeries:
    """Candles of a walk of its own; ``before`` is a day of history, which ends at the base price."""
    price = base_price or _first_price(row)
    volume, swing = 0.0 if row.is_index else volume, _volatility(row.exchange)
    made = _minutes(row.exchange, days, _random(seed, row.key), price, volume, swing)
    if before is not None:
        past = _day_before(row.exchange, before, _random(seed, f"{row.key} before"), price, volume, swing)
        starts, paths, volumes = (np.concatenate(parts) for parts in zip(past, made, strict=True))
    else:
        starts, paths, volumes = made
    return _candles(starts, paths, volumes, interval, tick)


def _first_price(row: InstrumentRow) -> float:
    """Where the walk of an instrument begins, in rupees: of a contract, by what it is written on."""
    if row.expiry is None:
        return usual_price(row.tradingsymbol)
    return usual_price(row.name, row.exchange)


def _volatility(exchange: str) -> float:
    return CURRENCY_VOLATILITY if exchange in CURRENCIES else DAILY_VOLATILITY


def _day_before(
    exchange: str, day: date, random: np.random.Generator, close: float, volume: float, volatility: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """The minutes of one day that ends at ``close``."""
    starts, paths, volumes = _minutes(exchange, [day], random, 1.0, volume, volatility)
    return starts, paths * (close / paths[-1, -1]), volumes


def trading_day_before(exchange: str, day: date) -> date | None:
    """The full trading day before ``day``; None if there is none within a fortnight."""
    for back in range(1, 15):
        earlier = day - timedelta(days=back)
        if hours.session(exchange, earlier) is not None and contracts.trades_fully(exchange, earlier):
            return earlier
    return None


def _normal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The normal distribution function."""
    return 0.5 * (1.0 + np.asarray(_ERF(values / math.sqrt(2.0)), dtype=np.float64))


def option_price(
    spot: NDArray[np.float64],
    strike: float,
    years: NDArray[np.float64],
    kind: str,
    at_the_money: float = OPTION_VOLATILITY,
) -> NDArray[np.float64]:
    """Black and Scholes without interest, rupees; ``kind`` is CE or PE, ``years`` the time to expiry."""
    volatility = at_the_money * (1 + SMILE * np.log(spot / strike) ** 2)
    deviation = volatility * np.sqrt(np.maximum(years, 1e-9))
    d1 = np.log(spot / strike) / deviation + deviation / 2
    call = spot * _normal(d1) - strike * _normal(d1 - deviation)
    return call if kind == "CE" else call - spot + strike


def underlying_key(row: InstrumentRow) -> str:
    """``EXCHANGE:SYMBOL`` of what a contract is written on; a commodity's and a currency's spot is not listed."""
    if row.exchange in LOTS_COUNTED:
        return f"{row.exchange}:{row.name}"
    return contracts.INDEX_OF.get(row.name) or f"{'BSE' if row.exchange == 'BFO' else 'NSE'}:{row.name}"


def _underlying(
    row: InstrumentRow, days: list[date], seed: int, price: float | None, *, past: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Starts and spot prices of the contract's minutes; after its own market's close the spot walks on quietly.

    With ``past`` the one day is history: it ends at the price at which the walk begins.
    """
    key = underlying_key(row)
    exchange, swing = key.partition(":")[0], _volatility(row.exchange)
    price = price or usual_price(row.name, row.exchange)
    if past:
        starts, spots, _ = _day_before(exchange, days[0], _random(seed, f"{key} before"), price, 0.0, swing)
    else:
        starts, spots, _ = _minutes(exchange, days, _random(seed, key), price, 0.0, swing)
    after = _random(seed, f"{key} after hours{' before' * past}")
    wanted, paths = [], []
    for day in days:
        opens, closes = hours.session_for_candles(row.exchange, day)
        midnight = day_number(day) * DAY_SECONDS
        own = midnight + opens + 60 * np.arange((closes - opens) // 60, dtype=np.int64)
        at = np.searchsorted(starts, own)
        known = (at < len(starts)) & (starts[np.minimum(at, len(starts) - 1)] == own)
        path = np.empty((len(own), STEPS + 1))
        path[known] = spots[at[known]]
        level = 0.0
        for i in np.flatnonzero(~known):
            level = float(path[i - 1, -1]) if i else float(spots[min(int(at[0]), len(spots) - 1), 0])
            steps = after.standard_normal(STEPS) * DAILY_VOLATILITY / math.sqrt(375 * STEPS) / 2
            path[i] = level * np.exp(np.r_[0.0, np.cumsum(steps)])
        wanted.append(own)
        paths.append(path)
    return np.concatenate(wanted), np.concatenate(paths)


def _years_left(row: InstrumentRow, starts: NDArray[np.int64]) -> NDArray[np.float64]:
    assert row.expiry is not None
    _, closes = hours.session_for_candles(row.exchange, row.expiry)
    left = day_number(row.expiry) * DAY_SECONDS + closes - starts
    within = np.arange(STEPS + 1) * 60.0 / STEPS
    return np.maximum(left[:, None] - within, 0.0) / (365.0 * DAY_SECONDS)


def generate_derivative(
    row: InstrumentRow,
    start_date: date,
    sessions: int,
    interval: str = "minute",
    seed: int = 1,
    underlying_price: float | None = None,
    before: date | None = None,
) -> CandleSeries:
    """Candles of a future or an option, from the same underlying path for every expiry, strike and kind.

    The days are those up to its expiry; raises BadSettings if there are none. ``before`` is a day of history.
    """
    if row.expiry is None or (row.is_option and not row.strike):
        raise BadSettings(f"{row.key} has no strike or expiry in its symbol: pass its InstrumentRow")
    days = [day for day in trading_days(row.exchange, start_date, sessions) if day <= row.expiry]
    if not days:
        raise BadSettings(f"{row.key} expired on {row.expiry}, before {start_date}")
    made = _contract(row, *_underlying(row, days, seed, underlying_price), _random(seed, row.key))
    if before is not None and (row.listed is None or row.listed <= before):
        spots = _underlying(row, [before], seed, underlying_price, past=True)
        past = _contract(row, *spots, _random(seed, f"{row.key} before"))
        made = tuple(np.concatenate(parts) for parts in zip(past, made, strict=True))
    starts, prices, volumes, interest = made
    return _candles(starts, prices, volumes, interval, row.tick_size, interest)


def _contract(
    row: InstrumentRow, starts: NDArray[np.int64], spots: NDArray[np.float64], random: np.random.Generator
) -> tuple[NDArray[Any], ...]:
    """Starts, prices, volumes and open interest of a contract's minutes."""
    years = _years_left(row, starts)
    if row.is_option:
        prices = option_price(
            spots,
            row.strike,
            years,
            row.instrument_type,
            OPTION_VOLATILITY * _volatility(row.exchange) / DAILY_VOLATILITY,
        )
        near = math.exp(-(((row.strike / float(spots[0, 0]) - 1) / 0.03) ** 2))
    else:
        prices, near = spots * np.exp(CARRY * years), 1.0
    lots = np.rint(random.gamma(2.0, 2.0 + 40.0 * near, len(starts))).astype(np.int64)
    interest = np.maximum(1000 + np.cumsum(np.rint(random.standard_normal(len(starts)) * (2 + lots / 10))), 100)
    return starts, prices, lots * row.lot_size, interest.astype(np.int64) * row.lot_size


def _with_auction(series: CandleSeries, exchange: str) -> CandleSeries:
    """Without the minutes of the closing auction, but for its one print at the end of order entry."""
    keep = np.ones(len(series), dtype=bool)
    flat = []
    for day in np.unique(series.start // DAY_SECONDS).tolist():
        auction = hours.closing_auction(exchange, day_from_number(day))
        if auction is None:
            continue
        begin = day * DAY_SECONDS + auction[0]
        keep &= (series.start < begin) | (series.start // DAY_SECONDS != day)
        prints = np.flatnonzero(series.start == begin + 14 * 60).tolist()
        keep[prints] = True
        flat += prints
    columns = {name: getattr(series, name).copy() for name in ("open", "high", "low", "close", "volume", "oi")}
    for at in flat:
        for name in ("open", "high", "low"):
            columns[name][at] = columns["close"][at]
    return CandleSeries(
        interval=series.interval,
        start=series.start[keep].astype("datetime64[s]"),
        **{name: column[keep] for name, column in columns.items()},
    )


def _named(key: str, settings: ExchangeSettings, on: date) -> InstrumentRow:
    row = describe(key, tick_size=settings.tick_sizes.get(key), on=on)
    lot = lot_given(key, row.name, settings.lot_sizes)
    return row if lot is None else replace(row, lot_size=lot)


def generate_market(
    settings: ExchangeSettings, rows: Iterable[InstrumentRow] = (), *, history: bool = False
) -> dict[str, CandleSeries]:
    """Candles of all symbols of the settings, from their seed; ``rows`` are further contracts to make.

    With ``history`` a day stands before the first one, so that there is a previous close; the days that are
    played are the same.
    """
    first = settings.generate_from or (settings.start.date() if settings.start else DEFAULT_FIRST_DAY)
    given = {row.key: row for row in (*settings.instruments, *rows)}
    keys = dict.fromkeys([*settings.symbols, *(row.key for row in rows)])
    listed = [given.get(key) or _named(key, settings, first) for key in keys]
    shares = auction_shares(listed, settings)
    found = {}
    for row in listed:
        seed, sessions, interval = settings.seed or 0, settings.generate_sessions, settings.interval
        days = trading_days(row.exchange, first, sessions)
        before = trading_day_before(row.exchange, days[0]) if history and days else None
        if row.is_option or (row.instrument_type == "FUT" and row.expiry):
            found[row.key] = generate_derivative(row, first, sessions, interval, seed, before=before)
            continue
        series = _walk(row, days, interval, seed, None, row.tick_size, USUAL_VOLUME, before)
        frozen = settings.closing_auction and row.is_index
        found[row.key] = _with_auction(series, row.exchange) if row.key in shares or frozen else series
    return found
