"""Where a run's prices come from: stored, brought along or made-up candles, or an exchange that serves already.

Each function takes a plan and gives it back with its prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import simulator
from ..connection import unstored
from ..errors import ConfigError, DataError, UnknownSymbol
from ..kite import instruments
from ..market.naming import named
from ..series import Candles
from ..sources import SOURCES
from ..values import Instrument
from . import checks, markets

if TYPE_CHECKING:
    from .plan import Run

MADE_UP = "made-up"
"""As a run's ``source``: candles from ``exchange.seed``, for trying things out where nothing is stored."""

_Read = tuple[dict[str, Candles], dict[str, Instrument], str]


def priced(plan: Run, source: Any) -> Run:
    """The plan with its candles, or with the market that has them.

    :raises DataError: if candles that were asked for are not there.
    """
    return _on_history(plan, source) if plan.mode.bars == "history" else _on_stream(plan, source)


def _on_history(plan: Run, source: Any) -> Run:
    if _made_up_is_asked(source):
        return _invented(plan)
    candles, known, origin = _stored(plan, source)
    for key, one in candles.items():
        if not len(one.between(plan.begin, plan.end)):
            raise DataError(f"{key} has no {plan.interval} candles from {plan.begin} to {plan.end}")
    return replace(plan, candles=candles, instruments=known, origin=origin)


def _on_stream(plan: Run, source: Any) -> Run:
    settings = plan.config
    if settings.broker.rule != "path":
        raise ConfigError(f"broker.rule {settings.broker.rule!r} is for candles that are known beforehand: use path")
    checks.check_account(plan)  # before anybody is asked anything
    url, ours, market = markets.found(settings)
    if market is None and ours:
        return _built_in(plan, source)
    if market is None and url.startswith("http://"):
        raise markets.nobody(url)
    if plan.begin is not None or plan.end is not None:
        raise ConfigError(f"{url} goes by its own clock: leave the start and the end of the run out")
    if source is not None and (not isinstance(source, str) or source == MADE_UP):
        named = '--made-up (source="made-up" in Python)' if _made_up_is_asked(source) else "source= with its candles"
        if market is None:
            raise ConfigError(f"prices come from {url}: leave {named} out, or use --endpoint simulator")
        raise ConfigError(
            f"prices come from the exchange that serves on {url}: leave {named} out, or end that exchange"
        )
    return replace(plan, config=markets.config_at(settings, market), market=market, origin=url)


def _built_in(plan: Run, source: Any) -> Run:
    """No exchange serves: one is to be started, on what a backtest would read, or on made-up candles."""
    warmup = plan.config.data.warmup
    asked = _made_up_is_asked(source)
    if asked or (source is None and plan.begin is None and plan.end is None and _may_make_up(plan)):
        return replace(_invented(plan, "" if asked else " (none are stored)"), starts_exchange=True)
    candles, known, origin = _stored(plan, source)
    # Without a start the first bars warm up, as they do in a backtest.
    starts = plan.begin or max(one[min(warmup, len(one) - 1) :].first for one in candles.values())
    return replace(
        plan, candles=candles, instruments=known, begin=starts, starts_exchange=True, origin=f"candles from {origin}"
    )


# ---- made up ------------------------------------------------------------------------------------


def _made_up_is_asked(source: Any) -> bool:
    return isinstance(source, str) and source == MADE_UP


def _invented(plan: Run, why: str = "") -> Run:
    if plan.begin is not None or plan.end is not None:
        raise ConfigError(
            "made-up candles have days of their own: leave the start and the end of the run out (--from, --to)"
        )
    seed, warmup = plan.config.exchange.seed, plan.config.data.warmup
    candles, begin = simulator.made_up(plan.symbols, plan.interval, seed=seed, warmup=warmup)
    return replace(
        plan,
        candles=candles,
        instruments=simulator.described(plan.symbols),
        begin=begin,
        origin=f"MADE-UP candles, seed {seed}{why}",
    )


def _may_make_up(plan: Run) -> bool:
    """Nothing is stored of any of the symbols, and the exchange is said to trade them all.

    :raises UnknownSymbol: if one is neither stored nor traded by the exchange, but another has nearly its name.
    :raises DataError: if none has.
    """
    from ..candles import CandleCache

    cache = CandleCache(Path(plan.config.data.cache).expanduser())
    stored = {row.key for row in cache.list()}
    if any(key in stored for key in plan.symbols):
        return False
    trades = set(plan.config.exchange.symbols)
    unknown = [key for key in plan.symbols if key not in trades]
    if not unknown:
        return True
    master = instruments.InstrumentMaster(_columns(sorted(stored | trades)))
    near = master.suggest(unknown[0])
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    exchange = unknown[0].partition(":")[0]
    if exchange not in instruments.EXCHANGES:
        raise UnknownSymbol(f"{exchange} is no exchange: use one of {', '.join(instruments.EXCHANGES)}{hint}")
    if not near:
        raise DataError(unstored(unknown[0]))
    raise UnknownSymbol(
        f"{unknown[0]} is neither stored nor one of exchange.symbols{hint} "
        "(candles are fetched with `btkite data fetch -s SYMBOL`)"
    )


def _columns(keys: Sequence[str]) -> dict[str, list[str]]:
    pairs = [key.split(":", 1) for key in keys]
    return {"exchange": [pair[0] for pair in pairs], "tradingsymbol": [pair[1] for pair in pairs]}


# ---- stored, or brought along -------------------------------------------------------------------


def _stored(plan: Run, source: Any) -> _Read:
    """Candles up to the end of the run, all that there are before it, and what is known of the instruments."""
    from ..store import KiteStore

    if source is not None and not isinstance(source, str):
        return _framed(plan, source)
    shelf = KiteStore(config=plan.config)  # type: ignore[call-arg]  # backtrader's params
    known = {key: shelf.instrument(key) for key in plan.symbols}
    candles = {}
    for key, instrument in known.items():
        candles[key] = shelf.candles(instrument, plan.interval, plan.begin, plan.end, plan.config.data.warmup)
        if plan.mode.bars == "stream" and plan.config.data.source == "cache":
            # An exchange has all the history, not only what the warm-up asks for.
            candles[key] = shelf.candles(instrument, plan.interval, None, plan.end)
    return candles, known, f"the {plan.config.data.source}"


def _framed(plan: Run, source: Any) -> _Read:
    """Candles that the caller brought: a DataFrame, or one for each symbol."""
    given = dict(source) if isinstance(source, Mapping) else {plan.symbols[0]: source}
    exchange = plan.config.broker.default_exchange
    frames = {instruments.parse_key(key, exchange): frame for key, frame in given.items()}
    missing = [key for key in plan.symbols if key not in frames]
    if missing:
        raise ConfigError(f"source has no candles of {missing[0]}: give a DataFrame for each symbol")
    candles: dict[str, Candles] = {}
    for key in plan.symbols:
        frame, warmup = frames[key], plan.config.data.warmup
        if isinstance(frame, Candles):
            candles[key] = frame.between(plan.begin, plan.end, warmup_bars=warmup)
        else:
            read = SOURCES["frame"]
            candles[key] = read(key, plan.interval, plan.begin, plan.end, warmup_bars=warmup, frame=frame)
    return candles, {key: named(key) for key in plan.symbols}, "the given candles"
