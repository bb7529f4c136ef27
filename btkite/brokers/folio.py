"""Folio: a portfolio of a broker's books, as they are at this moment."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from ..linetime import from_seconds, seconds_of
from ..portfolio import Line, Margins, Portfolio, exposure_of
from .tally import Row

if TYPE_CHECKING:
    from .account import Account
    from .bars import BarRuleBroker


def portfolio_of(broker: Account) -> Portfolio:
    """From the ledger, which decides on money, and the tally, which knows days and products."""
    ledger, day = broker.ledger, broker.tally.day
    lines = tuple(
        line_of(key, product, row, last_price(broker, key), close_before(broker, key, row, day))
        for (key, product), row in broker.tally.rows().items()
    )
    day_charges = sum((line.charges_today for line in lines), 0.0)
    intraday, carried = sum((line.day_pnl for line in lines), 0.0), sum((line.overnight_pnl for line in lines), 0.0)
    value = ledger.value
    return Portfolio(
        time=from_seconds(max(broker.now, 0)),
        capital=ledger.capital,
        total_value=value,
        total_pnl=value - ledger.capital,
        realized=ledger.realized,
        unrealized=ledger.unrealized,
        charges=ledger.charges,
        day_pnl=intraday + carried - day_charges,
        day_realized=sum((line.realized_today for line in lines), 0.0),
        day_charges=day_charges,
        intraday_pnl=intraday,
        overnight_pnl=carried,
        margins=Margins(
            used=ledger.used,
            working=ledger.committed(),
            free=ledger.free,
            cash=ledger.cash,
            kite=ledger.funds_limit,
        ),
        exposure=exposure_of([line.value for line in lines]),
        lines=lines,
    )


def portfolio_of_positions(broker: BarRuleBroker) -> Portfolio:
    """Of backtrader's own broker: value and cash are its own, the rest is what the tally has counted."""
    datas = {broker.instrument(data).key: data for data in reversed(broker.cerebro.datas) if len(data)}
    moments = [seconds_of(data.datetime[0]) for data in datas.values()]
    now = from_seconds(max(moments, default=0))
    broker.count()
    broker.tally.turn(now.date(), {})
    found = []
    for (key, product), row in broker.tally.rows().items():
        data = datas[key]
        close = bar_before(data, now.date(), broker.tally.found, key) if row.overnight else None
        found.append(line_of(key, product, row, float(data.close[0]), close or row.close))
    lines = tuple(found)
    value, cash = float(broker.getvalue()), float(broker.getcash())
    exposure = exposure_of([line.value for line in lines])
    day_charges = sum((line.charges_today for line in lines), 0.0)
    intraday, carried = sum((line.day_pnl for line in lines), 0.0), sum((line.overnight_pnl for line in lines), 0.0)
    return Portfolio(
        time=now,
        capital=broker.startingvalue,
        total_value=value,
        total_pnl=value - broker.startingvalue,
        realized=sum((line.realized for line in lines), 0.0),
        unrealized=sum((line.unrealized for line in lines), 0.0),
        charges=sum((line.charges for line in lines), 0.0),
        day_pnl=intraday + carried - day_charges,
        day_realized=sum((line.realized_today for line in lines), 0.0),
        day_charges=day_charges,
        intraday_pnl=intraday,
        overnight_pnl=carried,
        margins=Margins(used=max(0.0, value - cash), working=0.0, free=cash, cash=cash),
        exposure=exposure,
        lines=lines,
    )


def line_of(key: str, product: str, row: Row, last: float, close: float) -> Line:
    """One row, at its ``last`` price and the ``close`` from which today counts."""
    value = row.quantity * last * row.multiplier
    net = row.bought - row.sold
    day = row.sold_value - row.bought_value + net * last * row.multiplier
    carried = row.overnight * (last - close) * row.multiplier
    cost = row.overnight_value if row.overnight > 0 else -row.overnight_value
    return Line(
        symbol=key,
        product=product,
        quantity=row.quantity,
        average_price=row.average,
        last_price=last,
        multiplier=row.multiplier,
        value=value,
        realized=row.realized,
        unrealized=row.quantity * (last - row.average) * row.multiplier,
        charges=row.charges,
        realized_today=row.day_realized,
        charges_today=row.day_charges,
        pnl=day + row.overnight * last * row.multiplier - cost,
        m2m=day + carried,
        day_pnl=day,
        overnight_pnl=carried,
        day_quantity=net,
        overnight_quantity=row.overnight,
        overnight_price=row.overnight_value / abs(row.overnight) / row.multiplier if row.overnight else 0.0,
        close_price=close,
        buy_quantity=row.bought,
        buy_value=row.bought_value,
        sell_quantity=row.sold,
        sell_value=row.sold_value,
    )


def last_price(broker: Account, key: str) -> float:
    """₹: the ledger's, of what is held; else that of the last bar; 0 if there is none."""
    held = broker.ledger.position(key)
    if held.quantity:
        return held.last_price
    data = broker.feed_of(key)
    if data is None or not len(data) or broker.instrument(data).key != key:
        return 0.0
    return float(data.close[0])


def close_before(broker: Account, key: str, row: Row, day: date) -> float:
    """₹ from which today counts for what was carried: the close of the last bar before ``day`` that the feed has; what
    was noted in the night, if it has none (a run that has begun since then may know it better than the one before)."""
    if not row.overnight:
        return 0.0
    data = broker.feed_of(key)
    if data is None or broker.instrument(data).key != key:
        return row.close
    found = bar_before(data, day, broker.tally.found, key)
    return row.close if found is None else found


def bar_before(data: Any, day: date, known: dict[str, float], key: str) -> float | None:
    """The close of the last bar before ``day``; None if there is none. ``known``: those of this day that were found."""
    if key in known:
        return known[key]
    for ago in range(len(data)):
        if from_seconds(seconds_of(data.datetime[-ago])).date() < day:
            known[key] = float(data.close[-ago])
            return known[key]
    return None
