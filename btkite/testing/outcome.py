"""What a test wants to know of a run: rows with names, in plain lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..report.result import RunResult

MODE = "test"


@dataclass(frozen=True, eq=False)
class Outcome:
    """One run of one strategy.

    ``orders`` and ``trades`` are rows with the columns of ``docs/results.md`` as attributes
    (``outcome.trades[0].pnl``), ``times`` and ``equity`` the account's value in ₹ at the end of each bar,
    ``cash`` beside it. ``strategy`` is the strategy itself, with everything it kept; ``cerebro`` and
    ``broker`` what ran it.
    """

    strategy: Any
    cerebro: Any = field(repr=False)
    orders: list[SimpleNamespace]
    trades: list[SimpleNamespace]
    times: list[datetime] = field(repr=False)
    equity: list[float] = field(repr=False)
    cash: list[float] = field(repr=False)
    final_value: float = 0.0

    @classmethod
    def of(cls, strategy: Any, cerebro: Any) -> Outcome:
        """From a strategy that ran with the analyzers Orders, Trades and Equity."""
        from ..analyzers import Equity, Orders, Trades

        found = {type(analyzer): analyzer.get_analysis() for analyzer in strategy.analyzers}
        curve = found[Equity]
        return cls(
            strategy,
            cerebro,
            _rows(found[Orders]),
            _rows(found[Trades]),
            curve["datetime"],
            curve["value"],
            curve["cash"],
            float(cerebro.broker.getvalue()),
        )

    @property
    def broker(self) -> Any:
        return self.cerebro.broker

    @property
    def fills(self) -> list[tuple[datetime, str, str, float, float]]:
        """(time, symbol, side, size, price) of each order that traded, in the order of their end."""
        done = [order for order in self.orders if order.executed_size]
        done.sort(key=lambda order: (order.updated, order.ref))
        return [(order.updated, order.symbol, order.side, order.executed_size, order.executed_price) for order in done]

    @property
    def denials(self) -> list[str]:
        """Why orders were denied, one sentence each."""
        return [order.denied for order in self.orders if order.denied]

    def position(self, symbol: str | None = None) -> float:
        """Units held at the end, of ``symbol`` or of the first data."""
        strategy = self.strategy
        data = strategy.data if symbol is None else strategy.getdatabyname(symbol)
        return float(strategy.getposition(data).size)

    @property
    def result(self) -> RunResult:
        """The same with figures and DataFrames."""
        from ..report.result import RunResult

        return RunResult.collect(self.strategy, mode=MODE)


def _rows(found: Iterable[dict[str, Any]]) -> list[SimpleNamespace]:
    return [SimpleNamespace(**row) for row in found]
