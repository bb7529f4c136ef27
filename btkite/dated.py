"""Fills that are heard late keep their time: the trade they open or close is of the moment of the fill.

backtrader gives a trade the time of the feed's last bar. That bar ended before the fill as long as fills are heard
when they happen; of one that was made while the process was dead, or the stream away, it is the bar of the hearing,
minutes later. Where a fill is older than that bar, the trade has the fill's own time, which is the exchange's.
On history nothing is heard late: there a fill before the bar is backtrader's cheat-on-close.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_HAIR = 0.5 / 86_400
"""Days: line times are floats, of whole seconds."""


def tell(strategy: Any, order: Any, *, quicknotify: bool) -> None:
    """Notify a strategy of an order, as backtrader does, with its trades dated by fills that were heard late."""
    bits, seen = [], 0.0
    data = order.data if order.data._compensate is None else order.data._compensate
    if getattr(strategy.broker, "hears_late", False) and len(data) and not order.p.simulated:
        bits = [bit for bit in order.executed.iterpending() if bit is not None]
        seen = data.datetime[0]
    if not any(bit.dt and bit.dt < seen - _HAIR for bit in bits):
        strategy._addnotification(order, quicknotify=quicknotify)
        return
    before, notify, mine = len(strategy._tradespending), strategy._notify, vars(strategy).get("_notify")

    def dated(qorders: Sequence[Any] = (), qtrades: Sequence[Any] = ()) -> None:
        if any(one is order for one in qorders):  # a strategy's answer may be told of within
            _date(qtrades, bits, seen)
        notify(qorders=list(qorders), qtrades=list(qtrades))

    strategy._notify = dated
    try:
        strategy._addnotification(order, quicknotify=quicknotify)
    finally:
        if mine is None:
            del strategy._notify  # the class has it
        else:
            strategy._notify = mine
    _date([*strategy._tradespending[before:], *strategy._trades[data][order.tradeid][-2:]], bits, seen)


def _date(trades: Iterable[Any], bits: Sequence[Any], seen: float) -> None:
    """What these fills have opened or closed, and has the time of the last bar, gets theirs."""
    opened = min((bit.dt for bit in bits if bit.opened and bit.dt), default=seen)
    closed = max((bit.dt for bit in bits if bit.closed and bit.dt), default=seen)
    for trade in trades:
        if trade.dtopen == seen and trade.justopened:
            trade.dtopen = min(seen, opened)
        if trade.dtclose == seen and trade.isclosed:
            trade.dtclose = min(seen, closed)
