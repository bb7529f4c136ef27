"""By what rows are ranked: a figure of the run, and whether more of it is better."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError

MORE = True
METRICS: Mapping[str, bool] = {
    "sharpe": MORE,
    "return_percent": MORE,
    "return_rupees": MORE,
    "cagr_percent": MORE,
    "profit_factor": MORE,
    "win_rate_percent": MORE,
    "average_trade_rupees": MORE,
    "end_value": MORE,
    "max_drawdown_percent": not MORE,
    "max_drawdown_rupees": not MORE,
}


def check_metric(name: str) -> str:
    """:raises ConfigError: if rows cannot be ranked by it."""
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f": use one of {', '.join(METRICS)}"
        raise ConfigError(f"rows cannot be ranked by {name!r}{hint}")
    return name


def score(row: Mapping[str, Any], metric: str) -> float | None:
    """The row's figure, so that more is better; None if it failed or has none."""
    if row["failed"]:
        return None
    value = row["stats"][metric]
    return None if value is None else float(value) if METRICS[metric] else -float(value)
