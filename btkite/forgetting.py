"""Forgetting: what a run that lasts for days need not keep.

backtrader keeps every notification and every trade for ever, and a broker every order: thirty thousand orders are
200 MB. Of what has ended, a stream's run keeps the newest :data:`KEPT`; analyzers have noted the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KEPT = 1000
"""Ended orders, notifications and closed trades (of one data and trade id) that are kept, each."""


def forget(broker: Any, strategies: Sequence[Any], kept: int | None = None) -> None:
    """Drop the oldest of what has ended, if there is a good deal more than is kept."""
    kept = KEPT if kept is None else kept
    for strategy in strategies:
        if len(strategy._orders) > 2 * kept:
            del strategy._orders[:-kept]
    forget_orders = getattr(broker, "forget_orders", None)
    if forget_orders is not None and forget_orders(kept):
        for strategy in strategies:
            for of_data in strategy._trades.values():
                for trades in of_data.values():
                    if len(trades) > kept:
                        del trades[:-kept]
