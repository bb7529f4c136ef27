"""Analyzers: what a run leaves behind. Every order's life, every closed trade, the equity curve.

They work on any Cerebro and broker, count each execution once (an order is notified several times;
each notification carries only its own new fills) and cost a few appends per event. Times are naive
IST, as the lines are; money is rupees. The analysis is plain lists and numbers; :meth:`frame` makes a
DataFrame of it and imports pandas only then.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import backtrader as bt

from .carried import symbol_of, symbol_traded, was_held

if TYPE_CHECKING:
    import pandas as pd

ORDER_COLUMNS = (
    "ref",
    "created",
    "updated",
    "symbol",
    "side",
    "exectype",
    "size",
    "price",
    "plimit",
    "valid",
    "status",
    "executed_size",
    "executed_price",
    "commission",
    "denied",
    "rule",
    "reason",
    "product",
    "tag",
    "parent",
    "adopted",
)
TRADE_COLUMNS = (
    "ref",
    "symbol",
    "side",
    "size",
    "entry_time",
    "entry_price",
    "exit_time",
    "exit_price",
    "pnl",
    "commission",
    "pnlcomm",
    "bars",
)
EQUITY_COLUMNS = ("datetime", "value", "cash", "positions")

_NO_PRICE = (bt.Order.Market, bt.Order.Close)
_WITH_LIMIT = (bt.Order.StopLimit, bt.Order.StopTrailLimit)


def moment(number: float | None) -> datetime | None:
    """A line's float days as a datetime, to the millisecond; None for 'not known' (None, 0)."""
    if not number or number < 1:
        return None
    exact = bt.num2date(number + 0.0005 / 86_400)
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)


class Orders(bt.Analyzer):
    """A log with one row per order, as it stood after its last notification.

    Rows are in the order in which the orders were created. ``size`` and ``executed_size`` are positive,
    ``side`` is BUY or SELL. ``price`` is the limit or the trigger, None for a market order; ``plimit``
    the limit of a stop-limit. ``denied`` is btkite's own reason, ``rule`` the rule that said it, both
    empty if the order was not denied; ``reason`` is the market's, why it refused or ended it, as far as it said.
    ``adopted`` marks orders that were found in the account at the start; a position that was found there is no order.
    """

    def create_analysis(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}

    def notify_order(self, order: Any) -> None:
        if not was_held(order):
            self._note(order)

    def stop(self) -> None:
        # What was given on the last bar, or cancelled in stop(), is never notified: backtrader ends
        # before it could be.
        given = getattr(self.strategy.broker, "orders", ())  # btkite's brokers keep them by ref
        for order in list(given.values() if isinstance(given, Mapping) else given):
            if order.p.owner is not self.strategy:
                continue
            row = self.rows.get(order.ref)
            if row is None or row["status"] != order.getstatusname():
                self._note(order)

    def _note(self, order: Any) -> None:
        row = self.rows.get(order.ref)
        if row is None:
            row = self.rows[order.ref] = self._first(order)
        created, executed = order.created, order.executed
        row["updated"] = moment(self._now(order))
        row["size"] = abs(created.size)
        row["price"] = None if order.exectype in _NO_PRICE else created.price
        row["plimit"] = created.pricelimit if order.exectype in _WITH_LIMIT else None
        row["status"] = order.getstatusname()
        row["executed_size"] = abs(executed.size)
        row["executed_price"] = executed.price if executed.size else None
        row["commission"] = executed.comm if executed.size else None
        if not row["denied"]:
            row["product"] = self._product(order)
        denied = order.info.get("denied")
        if denied:
            rule = getattr(denied, "rule", "") or order.info.get("denied_by") or ""
            row["denied"], row["rule"] = str(denied), str(rule)
        row["reason"] = str(order.info.get("reason") or "")

    @staticmethod
    def _now(order: Any) -> float:
        # A fill has its own time; anything else became known with the feed's last bar.
        last = order.executed.dt if order.executed.getpending() else None
        if last:
            return float(last)
        return float(order.data.datetime[0]) if len(order.data) else 0.0

    def _product(self, order: Any) -> str:
        """Our brokers know with which product an order goes that names none."""
        of_order = getattr(self.strategy.broker, "product_of_order", None)
        return str(order.info.get("product") or "") if of_order is None else of_order(order)

    @staticmethod
    def _first(order: Any) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(ORDER_COLUMNS)
        parent = order.p.parent
        row.update(
            ref=order.ref,
            created=moment(order.created.dt),
            symbol=symbol_traded(order),
            side="BUY" if order.isbuy() else "SELL",
            exectype=order.getordername(),
            valid=moment(order.valid),
            denied="",
            rule="",
            reason="",
            tag=str(order.info.get("tag") or ""),
            parent=None if parent is None else parent.ref,
            adopted=bool(order.info.get("adopted")),
        )
        return row

    def get_analysis(self) -> list[dict[str, Any]]:
        return [self.rows[ref] for ref in sorted(self.rows)]

    def frame(self) -> pd.DataFrame:
        """The log as a DataFrame with :data:`ORDER_COLUMNS`."""
        return _frame(self.get_analysis(), ORDER_COLUMNS, ("created", "updated", "valid"))


@dataclass(slots=True)
class _Legs:
    """What was bought and sold in one trade so far."""

    entered: float = 0  # stays a whole number where sizes are
    entry_value: float = 0.0
    entry_time: float = 0.0
    left: float = 0
    exit_value: float = 0.0
    exit_time: float = 0.0


class Trades(bt.Analyzer):
    """Closed trades: from flat to flat, partial fills and scaling included.

    ``pnl`` is before and ``pnlcomm`` after ``commission`` (all charges of both sides), as backtrader's
    own trade says. Prices are volume-weighted over all entries and all exits. ``size`` is all that was
    entered. ``bars`` is the number of bars of the feed between entry and exit. ``entry_time`` is None
    for a position that was there before the run.
    """

    def create_analysis(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._open: dict[tuple[int, int], _Legs] = {}
        self._closed: dict[tuple[int, int], deque[_Legs]] = {}

    def notify_order(self, order: Any) -> None:
        # A clone's pending bits are the fills that this notification is about, and no other.
        for bit in order.executed.iterpending():
            key = (id(order.data), order.tradeid)
            if bit.closed:
                self._exit(key, bit, abs(bit.closed))
            if bit.opened:
                self._enter(key, bit, abs(bit.opened), 0.0 if was_held(order) else bit.dt or 0.0)

    def _enter(self, key: tuple[int, int], bit: Any, size: float, at: float) -> None:
        legs = self._open.setdefault(key, _Legs())
        if not legs.entered:
            legs.entry_time = at
        legs.entered += size
        legs.entry_value += size * bit.price

    def _exit(self, key: tuple[int, int], bit: Any, size: float) -> None:
        legs = self._open.setdefault(key, _Legs())
        legs.left += size
        legs.exit_value += size * bit.price
        legs.exit_time = bit.dt or 0.0
        beside = any(data == key[0] and tradeid != key[1] for data, tradeid in self._open)
        # Flat after the closing part; the position says so, unless it also holds trades of other ids.
        if legs.entered == legs.left if beside else bit.psize - bit.opened == 0:
            self._closed.setdefault(key, deque()).append(self._open.pop(key))

    def notify_trade(self, trade: Any) -> None:
        if not trade.isclosed:
            return
        waiting = self._closed.get((id(trade.data), trade.tradeid))
        legs = waiting.popleft() if waiting else _Legs()
        known = legs.entered and legs.entered == legs.left
        self.rows.append(
            {
                "ref": trade.ref,
                "symbol": trade.tradeid if isinstance(trade.tradeid, str) else symbol_of(trade.data),
                "side": "LONG" if trade.long else "SHORT",
                "size": legs.left or None,
                "entry_time": moment(legs.entry_time if known else trade.dtopen),
                "entry_price": legs.entry_value / legs.entered if known else trade.price,
                "exit_time": moment(legs.exit_time or trade.dtclose),
                "exit_price": legs.exit_value / legs.left if legs.left else None,
                "pnl": trade.pnl,
                "commission": trade.commission,
                "pnlcomm": trade.pnlcomm,
                "bars": trade.barlen,
            }
        )

    def get_analysis(self) -> list[dict[str, Any]]:
        return list(self.rows)

    def frame(self) -> pd.DataFrame:
        """The trades as a DataFrame with :data:`TRADE_COLUMNS`, in the order of their closing."""
        return _frame(self.rows, TRADE_COLUMNS, ("entry_time", "exit_time"))


class Equity(bt.Analyzer):
    """Value and cash in rupees, and the number of open positions, at the end of every bar.

    Bars of the warm-up (``prenext``) are no part of the run and are left out, unless asked for.

    Params:

      - ``warmup`` (False): record the bars before the strategy's first ``next`` as well
    """

    params = (("warmup", False),)

    def create_analysis(self) -> None:
        self.start_value: float | None = None  # not known before the run begins
        self.times, self.values, self.cash = array("d"), array("d"), array("d")
        self.positions = array("l")
        self._traded = False  # since the last bar

    def notify_order(self, order: Any) -> None:
        self._traded = self._traded or bool(order.executed.getpending())

    def stop(self) -> None:
        """What was filled after the last bar, while the run was being stopped, counts for its last row."""
        if self._traded and self.times:
            self._note(self.times[-1])

    def start(self) -> None:
        self.start_value = float(self.strategy.broker.getvalue())

    def prenext(self) -> None:
        if self.p.warmup:
            self.next()

    def next(self) -> None:
        self._traded = False
        self._note(self.strategy.datetime[0])

    def _note(self, now: float) -> None:
        strategy = self.strategy
        if self.times and self.times[-1] == now:  # another feed's bar of the same instant
            self._drop_last()
        self.times.append(now)
        self.values.append(strategy.broker.getvalue())
        self.cash.append(strategy.broker.getcash())
        self.positions.append(sum(1 for data in strategy.datas if strategy.getposition(data).size))

    def _drop_last(self) -> None:
        for column in (self.times, self.values, self.cash, self.positions):
            column.pop()

    def get_analysis(self) -> dict[str, Any]:
        return {
            "start_value": self.start_value,
            "datetime": [moment(number) for number in self.times],
            "value": list(self.values),
            "cash": list(self.cash),
            "positions": list(self.positions),
        }

    def frame(self) -> pd.DataFrame:
        """The curve as a DataFrame with :data:`EQUITY_COLUMNS`."""
        import numpy as np
        import pandas as pd

        # Days since year 1 as milliseconds since 1970 (719163 days), all at once.
        stamps = np.round((np.array(self.times) - 719_163) * 86_400_000).astype("int64")
        return pd.DataFrame(
            {
                "datetime": stamps.astype("datetime64[ms]"),
                "value": np.array(self.values),
                "cash": np.array(self.cash),
                "positions": np.array(self.positions, dtype="int64"),
            },
            columns=list(EQUITY_COLUMNS),
        )


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...], times: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    # Columns of whole numbers with gaps (parent) must not become floats.
    frame = pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=object).infer_objects() for name in columns}
    )
    for column in times:
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[ms]")
    return frame
