"""Results made from hand-written frames, in the analyzers' own columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from btkite.analyzers import EQUITY_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS
from btkite.report.result import RunResult


def equity_frame(values: list[float], freq: str, start: str, positions: list[int] | None) -> pd.DataFrame:
    times = (
        pd.bdate_range(start, periods=len(values))
        if freq == "B"
        else pd.date_range(start, periods=len(values), freq=freq)
    )
    return pd.DataFrame(
        {
            "datetime": times.astype("datetime64[ms]"),
            "value": pd.Series(values, dtype="float64", index=range(len(values))).to_numpy(),
            "cash": pd.Series(values, dtype="float64", index=range(len(values))).to_numpy(),
            "positions": positions if positions is not None else [0] * len(values),
        },
        columns=list(EQUITY_COLUMNS),
    )


def trade_frame(results: list[float], charges: float = 0.0, start: str = "2026-11-18 09:20") -> pd.DataFrame:
    rows = [
        {
            "ref": number,
            "symbol": "NSE:INFY",
            "side": "LONG",
            "size": 10,
            "entry_time": pd.Timestamp(start) + pd.Timedelta(minutes=number),
            "entry_price": 100.0,
            "exit_time": pd.Timestamp(start) + pd.Timedelta(minutes=number + 1),
            "exit_price": 100.0 + (result + charges) / 10,
            "pnl": result + charges,
            "commission": charges,
            "pnlcomm": result,
            "bars": 1,
        }
        for number, result in enumerate(results)
    ]
    return pd.DataFrame(rows, columns=list(TRADE_COLUMNS))


def order_frame(commissions: list[float], denied: list[str] | None = None) -> pd.DataFrame:
    rows = []
    for number, commission in enumerate(commissions):
        row: dict[str, Any] = dict.fromkeys(ORDER_COLUMNS)
        row.update(
            ref=number + 1,
            created=pd.Timestamp("2026-11-18 09:20") + pd.Timedelta(minutes=number),
            updated=pd.Timestamp("2026-11-18 09:21") + pd.Timedelta(minutes=number),
            valid=pd.NaT,
            symbol="NSE:INFY",
            side="BUY",
            exectype="Market",
            size=10,
            status="Completed",
            executed_size=10,
            executed_price=100.0,
            commission=commission,
            denied=denied[number] if denied else "",
            rule="",
            reason="",
            product="MIS",
            tag="",
            adopted=False,
        )
        rows.append(row)
    return pd.DataFrame(rows, columns=list(ORDER_COLUMNS))


@pytest.fixture(scope="session")
def made() -> Callable[..., RunResult]:
    """``made(values, results, commissions, denied=…)`` and any field of RunResult."""

    def made(
        values: list[float] | tuple[float, ...] = (),
        results: list[float] | tuple[float, ...] = (),
        commissions: list[float] | tuple[float, ...] = (),
        *,
        denied: list[str] | None = None,
        freq: str = "min",
        start: str = "2026-11-18 09:16",
        positions: list[int] | None = None,
        charges: float = 0.0,
        **fields: Any,
    ) -> RunResult:
        settings: dict[str, Any] = {
            "mode": "backtest",
            "strategy": "SmaCross",
            "symbols": ("NSE:INFY",),
            "interval": "minute",
            "start_value": 100_000.0,
        }
        return RunResult(
            **(settings | fields),
            equity=equity_frame(list(values), freq, start, positions),
            trades=trade_frame(list(results), charges),
            orders=order_frame(list(commissions), denied),
        )

    return made
