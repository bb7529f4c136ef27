"""What is asked for, looked at before anything is started: the one list of a run's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import backtrader as bt

from ..config import Config, load
from ..errors import ConfigError
from ..kite import instruments
from ..loading import check_params, load_strategy
from ..modes import Mode
from ..modes import mode as mode_of
from ..report.result import RunResult
from ..series import check_interval, check_range
from .plan import Run
from .prices import MADE_UP, priced
from .words import Tell

Moment = datetime | date | str | None
Arguments = ParamSpec("Arguments")


def prepare(
    strategy: type[bt.Strategy] | str,
    symbols: Sequence[str] | str,
    *,
    mode: str | Mode = "backtest",
    interval: str = "minute",
    start: Moment = None,
    end: Moment = None,
    params: Mapping[str, Any] | None = None,
    config: Config | str | Path | None = None,
    warmup: int | None = None,
    endpoint: str | None = None,
    confirm: str | None = None,
    capital: float | None = None,
    product: str | None = None,
    sessions: int | None = None,
    source: Any = None,
    save: bool = False,
    report: bool = True,
    tell: Tell | None = None,
) -> Run:
    """A checked run that has not been started; the arguments are those of :func:`run`."""
    facts = mode_of(mode)
    found = load_strategy(strategy)
    given = dict(params or {})
    check_params(found, given)
    settings = _settings(
        config,
        {
            "broker.kite_connect.endpoint": endpoint,
            "data.warmup": warmup,
            "broker.capital": capital,
            "broker.default_product": product,
            "run.sessions": sessions,
            "data.source": source if isinstance(source, str) and source != MADE_UP else None,
        },
    )
    check_interval(interval)
    exchange = settings.broker.default_exchange
    named = [symbols] if isinstance(symbols, str) else list(symbols)
    told = [instruments.parse_key(text, exchange) for text in named]
    keys = tuple(dict.fromkeys(told))
    if not keys:
        raise ConfigError("no symbol was named: give one, such as NSE:INFY")
    begin, finish = check_range(start, end)
    plan = Run(
        facts,
        found,
        given,
        keys,
        interval,
        settings,
        begin=begin,
        end=finish,
        confirm=confirm,
        save=save,
        report=report,
        tell=tell,
        repeated=tuple(key for key in keys if told.count(key) > 1),
    )
    return priced(plan, source)


def _settings(config: Config | str | Path | None, overrides: Mapping[str, Any]) -> Config:
    given = {key: value for key, value in overrides.items() if value is not None}
    if isinstance(config, Config):
        return config.with_(**given)
    return load(config, overrides=given)


def _at_once(plan: Callable[Arguments, Run]) -> Callable[Arguments, RunResult]:
    """``plan``, and then the run: with the same arguments, and the same names and defaults for who looks them up."""

    @wraps(plan)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> RunResult:
        return plan(*args, **kwargs).go()

    run.__name__ = run.__qualname__ = "run"
    run.__signature__ = inspect.signature(plan).replace(return_annotation="RunResult")  # type: ignore[attr-defined]
    return run


run = _at_once(prepare)
run.__doc__ = """Run ``strategy`` on ``symbols`` and give back what came of it.

    ``strategy``: a class, ``"path/file.py:Class"`` or ``"module:Class"`` · ``symbols``: ``NSE:INFY``, one or
    several · ``mode``: backtest, paper or live · ``interval``: Kite's word (``minute``, ``15minute``, ``day``) ·
    ``start``, ``end``: naive IST, a date as ``end`` includes that day; on a stored or built-in market only ·
    ``params``: the strategy's · ``config``: a :class:`~btkite.config.Config`, a file, or None for what
    the working folder and the environment say · ``warmup``: bars before the start that only warm indicators ·
    ``endpoint``: kite, sandbox, simulator or a URL · ``confirm``: the account's user id, without which a live
    run does not start · ``capital``: ₹ allotted · ``product``: Kite's product of orders that open ·
    ``sessions``: end a paper or live run after so many ·
    ``source``: a name for ``data.source``, ``"made-up"``, or DataFrames by symbol · ``save``: keep the run in a
    folder of ``paths.runs``, with its page unless ``report`` is False · ``tell``: called with market time and a
    line of text when something happens to an order.

    On ``endpoint="simulator"``, where nobody serves an exchange, one is started for the run and ended with it.

    :raises ConfigError: if something asked for is wrong; nothing was started.
    :raises DataError: if candles asked for are not there.
    :raises AccountLocked: if another process runs this account.
    """
