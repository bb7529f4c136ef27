"""``run_strategy``: one strategy over given bars, in one call, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ConfigError
from .canned import SYMBOL, Bars
from .canned import bars as canned
from .outcome import Outcome

if TYPE_CHECKING:
    from ..config import Config
    from ..series import Candles

Given = Any
"""Candles, a canned name, closes or rows, a DataFrame in Kite's columns; or a dict of these by symbol."""


def series_of(given: Given, *, interval: str = "minute") -> dict[str, Candles]:
    """Whatever a test calls bars, as candles by ``EXCHANGE:TRADINGSYMBOL``.

    :raises ConfigError: if it is none of what is understood.
    """
    if isinstance(given, Mapping):
        if not given:
            raise ConfigError("run_strategy needs bars: the dict has no symbol in it")
        return {key: _one(one, key, interval) for key, one in given.items()}
    one = _one(given, None, interval)
    return {one.key: one}


def _one(given: Given, key: str | None, interval: str) -> Candles:
    from ..series import Candles

    if isinstance(given, Candles):
        return given if key is None else replace(given, key=key)
    symbol = key or SYMBOL
    if isinstance(given, str):
        return canned(given, symbol=symbol, interval=interval)
    if hasattr(given, "columns") and hasattr(given, "index"):
        from ..files import read_frame

        return read_frame(given, symbol)
    if isinstance(given, Iterable) and not isinstance(given, Bars):
        return canned.from_rows(given, symbol=symbol, interval=interval)
    raise ConfigError(
        f"run_strategy does not understand bars of type {type(given).__name__}: give bars('uptrend'), closes, rows, "
        "a DataFrame, or a dict of these by symbol"
    )


def plain_config(
    *,
    risk: bool | Mapping[str, Any] = False,
    config: Config | Mapping[str, Any] | None = None,
    charges: bool = False,
) -> Config:
    """The configuration of a test: defaults, whatever the machine's files and environment say; no limits and no
    charges unless asked for.

    ``risk``: True for the default limits, or a dict of keys of ``risk`` (``{"max_position_pct": 20}``), which
    switches limits on. ``config``: dotted keys to change (``{"broker.carry": True}``), or a whole Config,
    which is taken as it is.
    """
    from ..config import Config

    if isinstance(config, Config):
        return config
    changes: dict[str, Any] = {
        "broker.charges": charges,
        "broker.mis_cutoff": "deny" if risk else "send",
        "risk.enabled": bool(risk),
        "log.file": False,
    }
    if isinstance(risk, Mapping):
        changes |= {f"risk.{key}": value for key, value in risk.items()}
    return Config().with_(**{**changes, **(config or {})})


def equip(cerebro: Any, strategy: Any, params: Mapping[str, Any], sizer: Any, analyzers: Iterable[Any]) -> None:
    """Strategy, sizer and the analyzers that an :class:`Outcome` reads."""
    from ..analyzers import Equity, Orders, Trades

    if strategy is not None:
        known = tuple(strategy.params._getkeys())
        unknown = [name for name in params if name not in known]
        if unknown:
            has = ", ".join(known) or "none"
            raise ConfigError(f"{strategy.__name__} has no parameter {', '.join(unknown)}; it has {has}")
        cerebro.addstrategy(strategy, **params)
    if sizer is not None:
        kind, options = sizer if isinstance(sizer, tuple) else (sizer, {})
        cerebro.addsizer(kind, **options)
    for analyzer in (Orders, Trades, Equity):
        cerebro.addanalyzer(analyzer, _name=f"btkite_{analyzer.__name__.lower()}")
    for analyzer in analyzers:
        kind, options = analyzer if isinstance(analyzer, tuple) else (analyzer, {})
        cerebro.addanalyzer(kind, **options)


def run_strategy(
    strategy: Any,
    bars: Given = "uptrend",
    /,
    *,
    cash: float = 100_000.0,
    rule: Literal["path", "backtrader"] = "path",
    risk: bool | Mapping[str, Any] = False,
    config: Config | Mapping[str, Any] | None = None,
    charges: bool = False,
    warmup: int = 0,
    interval: str = "minute",
    cerebro: Any = None,
    runonce: bool = True,
    sizer: Any = None,
    analyzers: Iterable[Any] = (),
    params: Mapping[str, Any] | None = None,
    **more: Any,
) -> Outcome:
    """Run ``strategy`` over ``bars`` and tell what came of it.

    ``strategy``: a class; None runs what is on the ``cerebro`` given (signals, say). The outcome is the last
    strategy's.
    ``bars``: see :data:`Given`; a dict gives several symbols, in its order. ``cash``: ₹ allotted. ``rule``: the
    fill convention. ``risk``, ``config``, ``charges``: see :func:`plain_config`. ``warmup``: bars that only warm
    indicators up. ``interval``: of bars that do not say. ``cerebro``: an instance of ``bt.Cerebro`` or of a
    class of yours, instead of btkite's. ``sizer`` and each of ``analyzers``: a class, or (class, params).
    Everything else are the strategy's own parameters; ``params=`` takes those whose name is taken here.

    :raises ConfigError: for bars or parameters that are not understood, in one sentence.
    """
    from ..brokers.sim import SimBroker
    from ..engine import Cerebro
    from ..feed import KiteData

    series = series_of(bars, interval=interval)
    settings = plain_config(risk=risk, config=config, charges=charges)
    engine = Cerebro(stdstats=False, runonce=runonce) if cerebro is None else cerebro
    for key, candles in series.items():
        feed: Any = KiteData  # its params come from backtrader's metaclass, which mypy does not read
        engine.adddata(feed(dataname=candles, interval=candles.interval, warmup=warmup), name=key)
    broker = SimBroker(rule=rule, config=settings)
    broker.setcash(cash)
    engine.setbroker(broker)
    equip(engine, strategy, {**(params or {}), **more}, sizer, analyzers)
    return Outcome.of(engine.run()[-1], engine)
