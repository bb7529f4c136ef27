"""What a run gives back: figures and tables, the same shape in every mode."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from ..errors import DataError
from ..modes import MODES
from . import table
from .stats import statistics

if TYPE_CHECKING:
    import pandas as pd

    from ..portfolio import Portfolio

SCHEMA = 1  # of to_json() and stats.json; a change that breaks a reader adds one

REFUSED = ("Rejected", "Margin")
"""backtrader's words for an order that was not taken."""

# What makes two runs' order and trade lists the same.
_ORDER_IDENTITY = ("created", "symbol", "side", "size", "exectype", "price", "plimit", "status", "executed_price")
_TRADE_IDENTITY = ("symbol", "side", "size", "entry_time", "entry_price", "exit_time", "exit_price")


@dataclass(frozen=True, slots=True)
class Reasons:
    """How many orders for which reason, most frequent first."""

    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, reasons: Iterable[str]) -> Self:
        return cls(MappingProxyType(dict(Counter(reason for reason in reasons if reason).most_common())))

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Denials(Reasons):
    """Orders that never left, and why."""

    def __str__(self) -> str:
        if not self.counts:
            return "no order was denied"
        reasons = "; ".join(f"{count} x {reason}" for reason, count in self.counts.items())
        return f"{self.total} order{'s' if self.total > 1 else ''} denied: {reasons}"


@dataclass(frozen=True, eq=False, repr=False)
class RunResult:
    """One finished run. Frames are the analyzers' own; change a copy, not these.

    ``mode``: backtest, paper or live · ``strategy``: the class's name · ``symbols``: as
    ``EXCHANGE:TRADINGSYMBOL`` · ``interval``: Kite's word (``minute``, ``day`` …) · ``engine``: what ran
    and filled it · ``folder``: where it is kept, None if it is not · ``start_value``: ₹ before the first
    bar · ``trades``, ``orders``, ``equity``: DataFrames (columns in ``docs/results.md``) · ``stats``: a
    Series, None for what cannot be computed · ``denials``: what the gate refused · ``denied``: the same in one
    sentence, by config key, empty if nothing was · ``rejections``, ``rejected``: what the market refused, counted
    and in one sentence · ``halted``: why the gate had stopped all entries at the end, empty if it had not ·
    ``mistake``: the reason against the first order that no market takes, such as a quantity off the lot size ·
    ``margin``: the first day on which the account could not have kept what it held on margin, by an approximation, and
    how many; empty if there was always enough · ``margin_used``: ₹ that positions blocked at the most ·
    ``overnight``: the first MIS position that was held over a night, which Kite would have squared off, and how
    many times; empty if none was · ``untraded``: why ``next()`` was never called, empty if there were bars enough
    for the indicators · ``portfolio``: what the account had, owed and had made at the end, by instrument and product
    (None on a broker that is not ours) · ``alerts``: how many there were of each kind, delivered or not ·
    ``left_open``: orders and positions that were there at the end, a line each ·
    ``stopped``: why it ended early (Ctrl-C, a session that expired), else empty · ``exit_code``: what
    ``btkite run`` ends with: 0 unless one of ``halted``, ``mistake`` and ``stopped`` says something (0 by SIGTERM).
    """

    mode: str
    strategy: str
    symbols: tuple[str, ...]
    interval: str
    trades: pd.DataFrame
    orders: pd.DataFrame
    equity: pd.DataFrame
    start_value: float | None = None
    engine: str = ""
    folder: Path | None = None
    denied: str = ""
    halted: str = ""
    mistake: str = ""
    overnight: str = ""
    margin: str = ""
    margin_used: float = 0.0
    untraded: str = ""
    portfolio: Portfolio | None = None
    alerts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    left_open: tuple[str, ...] = ()
    stopped: str = ""
    exit_code: int = 0

    @classmethod
    def collect(
        cls,
        strategy: Any,
        *,
        mode: str,
        symbols: Iterable[str] | None = None,
        interval: str = "",
        engine: str = "",
        folder: Path | None = None,
    ) -> RunResult:
        """From a strategy that has run with the analyzers Orders, Trades and Equity.

        :raises DataError: if one of them was not added.
        """
        from ..analyzers import Equity, Orders, Trades
        from ..carried import symbol_of

        found = {type(analyzer): analyzer for analyzer in strategy.analyzers}
        missing = [kind.__name__ for kind in (Orders, Trades, Equity) if kind not in found]
        if missing:
            raise DataError(f"a result needs the analyzers {', '.join(missing)}: add them before the run")
        if symbols is None:
            symbols = dict.fromkeys(symbol_of(data) for data in strategy.datas)
        return cls(
            mode=mode,
            strategy=type(strategy).__name__,
            symbols=tuple(symbols),
            interval=interval,
            trades=found[Trades].frame(),
            orders=found[Orders].frame(),
            equity=found[Equity].frame(),
            start_value=found[Equity].start_value,
            engine=engine,
            folder=folder,
            portfolio=getattr(strategy.broker, "portfolio", None),
        )

    @cached_property
    def stats(self) -> pd.Series:
        """All figures of :data:`btkite.report.stats.FIGURES`."""
        return statistics(self.equity, self.trades, self.orders, start_value=self.start_value)

    @cached_property
    def denials(self) -> Denials:
        return Denials.of(self.orders["denied"])

    @cached_property
    def rejections(self) -> Reasons:
        """Orders that were sent and that Kite, or the simulated market in its words, refused: why, and how many."""
        orders = self.orders
        refused = orders[orders["status"].isin(REFUSED) & (orders["denied"] == "")]
        return Reasons.of(reason or "no reason was given" for reason in refused["reason"])

    @property
    def rejected(self) -> str:
        """The same in one sentence, empty if none was."""
        if not self.rejections.total:
            return ""
        first, more = next(iter(self.rejections.counts)), len(self.rejections.counts) - 1
        mode = MODES.get(self.mode)
        by = "by Kite" if mode is not None and mode.fills == "kite" else "as Kite would"
        others = f" (and {more} other reason{'s' if more > 1 else ''})" if more else ""
        count = len(self.orders)
        return f"{self.rejections.total} of {count} order{'s' if count > 1 else ''} rejected {by}: {first}{others}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be read before the figures, a sentence each: why it ended early, what was refused, and what a
        real account would not have allowed. Empty for a run of which nothing is to be said."""
        return tuple(
            sentence
            for sentence in (
                self.stopped and f"ended early: {self.stopped}",
                self.denied or (str(self.denials) if self.denials.total else ""),
                self.rejected,
                self.halted and f"halted: {self.halted}",
                self.overnight,
                self.margin,
                self.untraded,
            )
            if sentence
        )

    @property
    def still_open(self) -> str:
        """Orders and positions that were there at the end, in one sentence."""
        return f"still open: {'; '.join(self.left_open) or 'nothing'}"

    @cached_property
    def orders_digest(self) -> str:
        """Eight characters that are equal for two runs with the same orders and fills."""
        return _digest(self.orders, _ORDER_IDENTITY)

    @cached_property
    def trades_digest(self) -> str:
        """Eight characters that are equal for two runs with the same trades."""
        return _digest(self.trades, _TRADE_IDENTITY)

    def kept_in(self, folder: Path) -> RunResult:
        """The same result, with its folder."""
        return replace(self, folder=folder)

    def show(self, width: int = 100) -> str:
        """The figures as a plain text table."""
        return table.text(table.stats_table(self), width)

    def as_dict(self, *, equity: bool = False) -> dict[str, Any]:
        """Plain values, ready for JSON: times in ISO 8601 (IST, no offset), nothing that is not finite."""
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "mode": self.mode,
            "strategy": self.strategy,
            "symbols": list(self.symbols),
            "interval": self.interval,
            "engine": self.engine,
            "folder": None if self.folder is None else str(self.folder),
            "stats": {key: plain(value) for key, value in self.stats.items()},
            "denials": {"total": self.denials.total, "reasons": dict(self.denials.counts)},
            "denied": self.denied,
            "rejected": self.rejected,
            "halted": self.halted,
            "mistake": self.mistake,
            "overnight": self.overnight,
            "margin": self.margin,
            "margin_used": self.margin_used,
            "untraded": self.untraded,
            "portfolio": None if self.portfolio is None else self.portfolio.as_dict(),
            "alerts": dict(self.alerts),
            "left_open": list(self.left_open),
            "stopped": self.stopped,
            "exit_code": self.exit_code,
            "trades": records(self.trades),
            "orders": records(self.orders),
        }
        if equity:
            found["equity"] = records(self.equity)
        return found

    def to_json(self, *, equity: bool = False, indent: int | None = None) -> str:
        """:meth:`as_dict` as JSON; the shape is documented in ``docs/results.md``."""
        return json.dumps(self.as_dict(equity=equity), ensure_ascii=False, allow_nan=False, indent=indent)

    def __repr__(self) -> str:
        stats = self.stats
        return (
            f"<RunResult {table.headline(self)}: {table.inr(stats['return_rupees'])}"
            f" ({table.shown('return_percent', stats['return_percent'])}), {stats['trades']} trades,"
            f" deepest drawdown {table.shown('max_drawdown_percent', stats['max_drawdown_percent'])},"
            f" {self.denials.total} denials>"
        )

    def __str__(self) -> str:
        return self.show()

    def _repr_html_(self) -> str:
        from .html import snippet

        return snippet(self)


def plain(value: Any) -> Any:
    """A value that JSON has: numpy's numbers as Python's, times as text, nan and NaT as None."""
    if table.unknown(value):
        return None
    if isinstance(value, datetime):  # a pandas Timestamp is one
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return value


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts of plain values."""
    names = list(frame.columns)
    return [
        {name: plain(value) for name, value in zip(names, row, strict=True)}
        for row in frame.itertuples(index=False, name=None)
    ]


def _digest(frame: pd.DataFrame, columns: tuple[str, ...]) -> str:
    lines = []
    for row in frame[list(columns)].itertuples(index=False, name=None):
        cells = [plain(value) for value in row]
        lines.append("|".join(f"{cell:.4f}" if isinstance(cell, (int, float)) else str(cell) for cell in cells))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
