"""The simulated exchange of a run: the one that serves already, or one that lives as long as the run.

Only who starts a market imports the exchange. A run that starts one gives it the candles that a backtest of
the same command would read, so the three modes trade the same market; with nothing stored, candles are made
up from a seed, and the banner says so.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from . import almanac, served
from .commissions import security_of
from .config import Config
from .errors import BtkiteError, ConfigError
from .grid import windows_of
from .series import Candles
from .values import INTERVALS, Instrument

if TYPE_CHECKING:
    from .exchange import CandleSeries, InstrumentRow

BEFORE_OPEN = timedelta(minutes=15)
"""Feeds and history are ready well before the first print; until they are, a clock that runs goes in real time."""
JUST_BEFORE = timedelta(seconds=5)
"""Then, on a running clock, nobody wants to wait for the open."""
MADE_UP_SESSIONS = 5
_SESSION_SECONDS = 6 * 3600


@contextmanager
def started(
    config: Config, candles: Mapping[str, Candles], instruments: Mapping[str, Instrument], begin: datetime
) -> Iterator[served.Served]:
    """An exchange on a free port that trades ``candles`` from ``begin`` on; what lies before is history.

    It ends with the ``with`` block, and its account and its orders with it.
    """
    from .exchange import Exchange, ExchangeError, ExchangeSettings
    from .exchange.hours import lay_over

    lay_over(almanac.as_rows(almanac.observe(config)))
    wanted = config.exchange
    lockstep = wanted.speed == "lockstep"
    token = secrets.token_urlsafe(24)
    try:
        exchange = Exchange(
            ExchangeSettings(
                candles={key: candle_series(one) for key, one in candles.items()},
                instruments=[instrument_row(one) for one in instruments.values()],
                start=first_moment(candles, begin),
                speed=wanted.speed if lockstep else "realtime",
                user_id=wanted.user_id,
                api_key=wanted.api_key,
                api_secret=wanted.api_secret,
                cash=wanted.cash,
                securities={key: security_of(key, config.broker.securities) for key in candles},
                auto_token=token,
                expire_tokens=False,  # nobody is there to log in again on the second morning
            )
        )
        exchange.start()
    except ExchangeError as error:
        raise BtkiteError(f"the built-in exchange cannot start: {error}") from error
    try:
        moment = exchange.settings.start
        assert moment is not None
        opens = first_moment(candles, begin, before=JUST_BEFORE)

        def set_off() -> None:
            if served.clock(exchange.url)["now"] < opens.isoformat():
                served.clock(exchange.url, until=opens.isoformat())
            served.clock(exchange.url, speed=1.0 if wanted.speed == "realtime" else float(wanted.speed))

        yield served.Served(
            exchange.url, lockstep=lockstep, now=moment, token=token, **({} if lockstep else {"set_off": set_off})
        )
    finally:
        exchange.stop()


def first_moment(candles: Mapping[str, Candles], begin: datetime, before: timedelta = BEFORE_OPEN) -> datetime:
    """The market's first *now*: before the open of the first day, or at the first bar if that is later."""
    key, first = min(
        ((key, one.between(begin, None).first) for key, one in candles.items() if len(one.between(begin, None))),
        key=lambda found: found[1],
    )
    windows = windows_of(key)(first.date())
    opens: datetime = windows[0][0] if windows else first
    if begin <= opens:
        return opens - before
    return first


def made_up(
    symbols: Sequence[str], interval: str, *, seed: int, warmup: int = 0, sessions: int = MADE_UP_SESSIONS
) -> tuple[dict[str, Candles], datetime]:
    """Candles of ``sessions`` days from a seed, with ``warmup`` bars before them, and the first day's midnight.

    The same seed gives the same candles on every machine.
    """
    from .exchange import ExchangeError, ExchangeSettings
    from .exchange.generator import generate_market

    a_day = 1 if interval == "day" else max(1, _SESSION_SECONDS // INTERVALS[interval])
    before = math.ceil(warmup / a_day)
    try:
        series = generate_market(
            ExchangeSettings(seed=seed, symbols=tuple(symbols), interval=interval, generate_sessions=before + sessions)
        )
    except ExchangeError as error:
        raise ConfigError(str(error)) from error
    found = {key: _candles(key, one, seed) for key, one in series.items()}
    days = sorted({day for one in found.values() for day in one.start.astype("datetime64[D]").tolist()})
    first = days[min(before, len(days) - 1)]
    return found, datetime(first.year, first.month, first.day)


def described(symbols: Sequence[str]) -> dict[str, Instrument]:
    """Instruments as the exchange tells them from their symbols: lots, ticks, expiries, strikes."""
    from .exchange import ExchangeError
    from .exchange.instruments import make_rows

    try:
        rows = make_rows(symbols, (), {}, {})
    except ExchangeError as error:
        raise ConfigError(str(error)) from error
    return {
        row.key: Instrument(
            exchange=row.exchange,
            tradingsymbol=row.tradingsymbol,
            instrument_token=row.instrument_token,
            name=row.name,
            expiry=row.expiry,
            strike=row.strike,
            tick_size=row.tick_size,
            lot_size=row.lot_size,
            instrument_type=row.instrument_type,
            segment=row.segment,
            multiplier=row.multiplier,
        )
        for row in rows
    }


def _candles(key: str, series: CandleSeries, seed: int) -> Candles:
    columns = {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume", "oi")}
    starts = series.start.astype("datetime64[s]")
    return Candles.of(key, series.interval, {"date": starts, **columns}, source=f"made up, seed {seed}")


def candle_series(candles: Candles) -> CandleSeries:
    """Candles as the exchange takes them."""
    from .exchange import CandleSeries

    return CandleSeries(
        interval=candles.interval,
        start=candles.start,
        open=candles.open,
        high=candles.high,
        low=candles.low,
        close=candles.close,
        volume=candles.volume,
        oi=candles.oi,
    )


def instrument_row(instrument: Instrument) -> InstrumentRow:
    """What we know of an instrument, for the exchange's dump. Tokens are the exchange's own."""
    from .exchange import InstrumentRow

    return InstrumentRow(
        exchange=instrument.exchange,
        tradingsymbol=instrument.tradingsymbol,
        name=instrument.name,
        expiry=instrument.expiry,
        strike=instrument.strike,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        instrument_type=instrument.instrument_type,
        segment=instrument.segment,
        multiplier=instrument.multiplier,
    )
