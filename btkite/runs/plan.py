"""Run: what was asked for, checked, with its prices; nothing has been started yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt

from .. import served
from ..config import Config
from ..journal import account_folder
from ..kite import endpoints
from ..modes import Mode
from ..report.result import RunResult
from ..series import Candles
from ..values import Instrument
from . import banner, going, markets
from .words import Tell


@dataclass(frozen=True, slots=True)
class Run:
    """One run, checked and not started.

    ``candles`` are those that will be traded, if they are known beforehand: with history before ``begin``,
    up to ``end``. ``market`` is an exchange that serves already, ``starts_exchange`` says that one is to be
    started. ``origin`` says in words where prices come from. ``save``, ``report`` and ``tell``: what
    becomes of the result, see :func:`btkite.run`. ``repeated``: symbols that were named more than once, and are
    traded once. ``analyzers``: further ones, each with its params. ``ends_flat``: it is over once the kill switch has
    done its work, or after ``patience`` real seconds. ``shelf``: of indicators' lines, for runs that have the same
    (:mod:`btkite.fast.shelf`).
    """

    mode: Mode
    strategy: type[bt.Strategy]
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    interval: str
    config: Config
    begin: datetime | None = None
    end: datetime | None = None
    confirm: str | None = None
    candles: Mapping[str, Candles] = field(default_factory=dict)
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    market: served.Served | None = None
    starts_exchange: bool = False
    origin: str = ""
    save: bool = False
    report: bool = True
    tell: Tell | None = None
    repeated: tuple[str, ...] = ()
    analyzers: tuple[tuple[type[bt.Analyzer], Mapping[str, Any]], ...] = ()
    ends_flat: bool = False
    patience: float = 60.0
    shelf: Any = None

    @property
    def endpoint(self) -> str:
        """Its name: kite, sandbox, simulator, or HOST:PORT."""
        if self.starts_exchange:
            return markets.BUILT_IN
        return endpoints.resolve(self.config.broker.kite_connect.endpoint).name

    @property
    def account(self) -> str:
        """The client id whose money it is, or would be."""
        return self.config.exchange.user_id if self.starts_exchange else markets.account_of(self.config)

    @property
    def folder(self) -> Path:
        """Where this account's lock, kill switch and journal are."""
        return account_folder(Path(self.config.paths.state), self.endpoint, self.account, self.mode.name)

    @property
    def traded(self) -> dict[str, Candles]:
        """What is traded, with the bars that warm up, by symbol; empty if it is not known beforehand."""
        warmup = self.config.data.warmup
        return {
            key: one.between(self.begin, self.end, warmup_bars=warmup if self.begin is not None else 0)
            for key, one in self.candles.items()
        }

    def banner(self) -> list[tuple[str, str]]:
        """What is about to happen, as labels and texts."""
        return banner.rows(self)

    def go(self) -> RunResult:
        """Run to the end of the candles, of the sessions, or to Ctrl-C, and say what came of it.

        :raises AccountLocked: if another process runs this account.
        """
        return going.go(self)
