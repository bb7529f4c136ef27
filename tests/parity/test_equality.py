"""A backtest through KiteData and SimBroker(rule="backtrader") is stock backtrader's, to the last bit.

Stock is ``bt.Cerebro`` with ``PandasData`` and ``BackBroker``. Compared is everything a strategy can see: each
notification of each order with all its figures, trades, cash and value of each bar, lines and indicators.
No tolerance anywhere: values are compared as the doubles they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.market.calendar import calendar
from btkite.series import Candles
from btkite.testing import bars as canned

SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
MINUTES = SHARED / "data" / "minute"
DAYS = SHARED / "data" / "daily"
CASH = 200_000.0
Order = bt.Order
Series = Mapping[str, Candles]


# ---- what is compared ----


class Witness(bt.Strategy):
    """Writes down everything that backtrader tells a strategy; subclasses act in ``play``."""

    params = (("script", None),)

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.first_ref: int | None = None
        self.given: list[Any] = []
        self.lines_watched = [
            line
            for data in self.datas
            for line in (
                bt.ind.SMA(data, period=5),
                bt.ind.EMA(data, period=7),
                bt.ind.RSI(data, period=6, safediv=True),
                bt.ind.ATR(data, period=4),
            )
        ]
        self.cross = bt.ind.CrossOver(self.lines_watched[0], self.lines_watched[1])

    def relative(self, ref: int) -> int:
        if self.first_ref is None:
            self.first_ref = ref
        return ref - self.first_ref

    def notify_order(self, order: Any) -> None:
        created, executed = order.created, order.executed
        bits = [
            (bit.dt, bit.size, bit.price, bit.closed, bit.opened, bit.comm, bit.pnl, bit.psize, bit.pprice)
            for bit in executed.iterpending()
        ]
        self.seen.append(
            (
                "order",
                len(self),
                self.relative(order.ref),
                order.getstatusname(),
                order.ordtypename(),
                order.getordername(),
                order.data._name,
                *_figures(created),
                *_figures(executed),
                order.valid,
                order.alive(),
                order.triggered,
                bits,
            )
        )

    def notify_trade(self, trade: Any) -> None:
        self.seen.append(
            (
                "trade",
                len(self),
                trade.status,
                trade.data._name,
                trade.size,
                trade.price,
                trade.value,
                trade.commission,
                trade.pnl,
                trade.pnlcomm,
                trade.dtopen,
                trade.dtclose,
                trade.baropen,
                trade.barclose,
                trade.barlen,
                trade.long,
            )
        )

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.seen.append(("money", len(self), cash, value))

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        self.seen.append(("fund", cash, value, fundvalue, shares))

    def notify_timer(self, timer: Any, when: datetime, *args: Any, **kwargs: Any) -> None:
        self.seen.append(("timer", when))

    def note_bar(self, kind: str) -> None:
        self.seen.append(
            (
                kind,
                len(self),
                tuple(
                    (len(d), d.datetime[0], d.open[0], d.high[0], d.low[0], d.close[0], d.volume[0], d.openinterest[0])
                    for d in self.datas
                    if len(d)
                ),
                tuple(line[0] for line in self.lines_watched if len(line)),
                tuple((self.getposition(d).size, self.getposition(d).price) for d in self.datas),
                self.broker.getcash(),
                self.broker.getvalue(),
            )
        )

    def prenext(self) -> None:
        self.note_bar("prenext")

    def next(self) -> None:
        self.note_bar("next")
        self.play()

    def play(self) -> None:
        for action in (self.p.script or {}).get(len(self), ()):
            self.act(**action)

    # One action of a generated script. Offsets are parts in a thousand of the last close.
    def act(self, kind: str, buys: bool, size: int, a: int, b: int, valid: Any, data: int, pick: int) -> None:
        feed = self.datas[data % len(self.datas)]
        give = self.buy if buys else self.sell
        base = feed.close[0]
        sign = 1 if buys else -1

        def price(offset: int) -> float:
            return round(base * (1 + offset / 1000), 2)

        lasting = {"valid": valid}
        if kind == "market":
            self.given.append(give(data=feed, size=size))
        elif kind == "close_order":
            self.given.append(give(data=feed, size=size, exectype=Order.Close))
        elif kind == "limit":
            self.given.append(give(data=feed, size=size, exectype=Order.Limit, price=price(a), **lasting))
        elif kind == "stop":
            self.given.append(give(data=feed, size=size, exectype=Order.Stop, price=price(a), **lasting))
        elif kind == "stoplimit":
            self.given.append(
                give(data=feed, size=size, exectype=Order.StopLimit, price=price(a), plimit=price(b), **lasting)
            )
        elif kind == "stoptrail":
            trail = {"trailamount": base * abs(a) / 1000 + 0.05} if b % 2 else {"trailpercent": abs(a) / 1000 + 0.001}
            self.given.append(give(data=feed, size=size, exectype=Order.StopTrail, **trail))
        elif kind == "stoptraillimit":
            self.given.append(
                give(
                    data=feed,
                    size=size,
                    exectype=Order.StopTrailLimit,
                    price=price(a),
                    plimit=price(b),
                    trailamount=base * abs(a) / 1000 + 0.05,
                )
            )
        elif kind == "bracket":
            entry = {"exectype": Order.Market} if a % 2 else {"exectype": Order.Limit, "price": price(a)}
            members = {} if b % 5 else {"stopexec": None}
            bracket = self.buy_bracket if buys else self.sell_bracket
            self.given += [
                order
                for order in bracket(
                    data=feed,
                    size=size,
                    stopprice=price(a - sign * (abs(b) + 1)),
                    limitprice=price(a + sign * (abs(b) + 1)),
                    **entry,
                    **members,
                    **lasting,
                )
                if order is not None
            ]
        elif kind == "oco":
            one = give(data=feed, size=size, exectype=Order.Limit, price=price(a), **lasting)
            self.given += [one, give(data=feed, size=size, exectype=Order.Stop, price=price(b), oco=one, **lasting)]
        elif kind == "target":
            target = (
                self.order_target_size(feed, target=a * sign),
                self.order_target_percent(feed, target=sign * abs(b) / 100),
            )
            self.given += [order for order in target if order is not None]
        elif kind == "target_value":
            order = self.order_target_value(feed, target=sign * abs(a) * 3000.0)
            if order is not None:
                self.given.append(order)
        elif kind == "close":
            order = self.close(data=feed)
            if order is not None:
                self.given.append(order)
        elif kind == "cancel" and self.given:
            self.cancel(self.given[pick % len(self.given)])


def _figures(part: Any) -> tuple[Any, ...]:
    return (part.dt, part.size, part.price, part.pricelimit, part.remsize, part.value, part.comm, part.pnl)


# ---- the two sides ----


def frame(candles: Candles) -> pd.DataFrame:
    """For PandasData, stamped at the end of the bar; told independently of KiteData's own stamps."""
    table = candles.frame()
    table["openinterest"] = table.pop("oi")
    if candles.interval == "day":
        days = table.pop("date").dt.date
        table.index = pd.DatetimeIndex(
            [calendar().session("NSE", day).close for day in days]
        )  # muhurat ends in the evening
    else:
        length = int(candles.interval.removesuffix("minute") or 1)
        ends = pd.DatetimeIndex(table.pop("date")) + pd.Timedelta(minutes=length)
        closes = ends.normalize() + pd.Timedelta(hours=15, minutes=30)
        table.index = ends.where(ends < closes, closes)
    return table


def timeframe(candles: Candles) -> dict[str, int]:
    if candles.interval == "day":
        return {"timeframe": bt.TimeFrame.Days, "compression": 1}
    return {"timeframe": bt.TimeFrame.Minutes, "compression": int(candles.interval.removesuffix("minute") or 1)}


Setup = Callable[[Any], None]


def seen_by_stock(strategy: type[Witness], series: Series, setup: Setup, params: Any, **engine: Any) -> list[Any]:
    cerebro = bt.Cerebro(stdstats=False, **engine)
    cerebro.setbroker(bt.brokers.BackBroker())
    for key, candles in series.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame(candles), **timeframe(candles)), name=key)
    return _run(cerebro, strategy, setup, params)


def seen_by_btkite(
    strategy: type[Witness], series: Series, setup: Setup, params: Any, kind: type[bt.Cerebro], **engine: Any
) -> list[Any]:
    cerebro = kind(stdstats=False, quicknotify=engine.pop("quicknotify", False), **engine)
    cerebro.setbroker(SimBroker(rule="backtrader", config=Config().with_(**{"broker.charges": False})))
    for key, candles in series.items():
        cerebro.adddata(KiteData(dataname=candles), name=key)
    return _run(cerebro, strategy, setup, params)


def _run(cerebro: Any, strategy: type[Witness], setup: Setup, params: Any) -> list[Any]:
    cerebro.broker.setcash(CASH)
    setup(cerebro)
    cerebro.addstrategy(strategy, **params)
    (ran,) = cerebro.run()
    value = cerebro.broker.getvalue()
    return [*ran.seen, ("end", cerebro.broker.getcash(), value, cerebro.broker.fundvalue)]


def plain(cerebro: Any) -> None:
    """Nothing set."""


ENGINES = {
    "runonce": {"runonce": True},
    "next": {"runonce": False},
    "no preload": {"preload": False},
    "quicknotify": {"runonce": True, "quicknotify": True},
}
KINDS = {"btkite.Cerebro": Cerebro, "bt.Cerebro": bt.Cerebro}


def assert_equal(
    strategy: type[Witness], series: Series, *, setup: Setup = plain, engines: Any = ENGINES, **params: Any
) -> list[Any]:
    """Every engine and Cerebro; returns what stock saw, so that a test can say that it was something."""
    stock: list[Any] = []
    for name, engine in engines.items():
        stock = seen_by_stock(strategy, series, setup, params, **engine)
        for kind, cls in KINDS.items():
            ours = seen_by_btkite(strategy, series, setup, params, cls, **engine)
            if cls is Cerebro and engine.get("quicknotify"):
                ours = without_the_last_words(ours, len(stock))
            for number, (theirs, mine) in enumerate(zip(stock, ours, strict=False)):
                assert repr(mine) == repr(theirs), f"{kind} {name}: entry {number}"
            assert len(ours) == len(stock), f"{kind} {name}"
    return stock


def without_the_last_words(ours: list[Any], wanted: int) -> list[Any]:
    """Stock ends before it tells of orders given on the last bar; btkite's Cerebro tells of them at once."""
    extra = ours[wanted - 1 : -1]
    assert all(entry[0] == "order" and entry[3] in ("Submitted", "Accepted", "Canceled", "Margin") for entry in extra)
    return [*ours[: wanted - 1], ours[-1]]


def statuses(seen: list[Any]) -> set[str]:
    return {entry[3] for entry in seen if entry[0] == "order"}


def kinds_filled(seen: list[Any]) -> set[str]:
    return {entry[5] for entry in seen if entry[0] == "order" and entry[3] == "Completed"}


# ---- candles ----


def generated(
    key: str, seed: int, *, count: int = 120, interval: str = "minute", holes: float = 0.0, late: int = 0
) -> Candles:
    """A random walk in ticks; ``holes`` is the share of bars that are missing, ``late`` how many at the start."""
    rng = np.random.default_rng(seed)
    level, rows = 20_000, []
    for number, (gap, up, down, step) in enumerate(rng.integers(-40, 41, size=(count, 4)).tolist()):
        open_ = level + (gap if number % 3 == 0 else 0)
        close = open_ + step
        row = (open_, max(open_, close) + abs(up), min(open_, close) - abs(down), close)
        missing = number < late or rng.random() < holes
        rows.append(None if missing else tuple(round(ticks * 0.05, 2) for ticks in row))
        level = close
    return canned.from_rows(rows, symbol=key, interval=interval)


ONE = {"NSE:AAA": generated("NSE:AAA", 1)}
THREE = {key: generated(key, seed) for seed, key in enumerate(("NSE:AAA", "NSE:BBB", "NSE:CCC"))}
HOLED = {key: generated(key, seed, holes=0.25) for seed, key in enumerate(("NSE:AAA", "NSE:BBB", "NSE:CCC"))}
LATE = {
    "NSE:AAA": generated("NSE:AAA", 1),
    "NSE:BBB": generated("NSE:BBB", 2, late=40),
    "NSE:CCC": generated("NSE:CCC", 3, late=17, holes=0.1),
}
DAYWISE = {key: generated(key, seed, interval="day") for seed, key in enumerate(("NSE:AAA", "NSE:BBB"))}
HOURS = {
    "NSE:AAA": generated("NSE:AAA", 5, interval="60minute"),
    "NSE:BBB": generated("NSE:BBB", 6, interval="60minute", holes=0.2),
}
MARKETS = {"one": ONE, "three": THREE, "holes": HOLED, "late": LATE, "days": DAYWISE, "hours": HOURS}


# ---- strategies, drawn by hand ----


class Everything(Witness):
    """Every kind of order in turn, on every data; cancels what has become old."""

    order_kinds = (
        "market", "limit", "stop", "stoplimit", "stoptrail", "stoptraillimit", "bracket", "oco", "target",
        "target_value", "close_order", "close", "cancel",
    )  # fmt: skip

    def play(self) -> None:
        number = len(self)
        rng = np.random.default_rng(number)
        a, b, pick = (int(n) for n in rng.integers(-9, 10, size=3))
        for data in range(len(self.datas)):
            self.act(
                self.order_kinds[(number + 5 * data) % len(self.order_kinds)],
                buys=bool(rng.random() < 0.6),
                size=int(rng.integers(1, 9)),
                a=a,
                b=b,
                valid=[None, None, timedelta(minutes=3), timedelta(0), 0.5][number % 5],
                data=data,
                pick=pick,
            )


class Crosses(Witness):
    """The usual: in and out on a crossing, by a sizer."""

    def play(self) -> None:
        if self.cross[0] > 0 and not self.position:
            self.buy()
        elif self.cross[0] < 0 and self.position:
            self.close()


def commissions(cerebro: Any) -> None:
    cerebro.broker.setcommission(commission=0.0007)
    cerebro.broker.setcommission(commission=2.5, margin=900.0, mult=3.0, name="NSE:BBB")
    cerebro.broker.set_slippage_perc(0.001)


def poor(cerebro: Any) -> None:
    cerebro.broker.setcash(2500.0)


def timers_and_sizer(cerebro: Any) -> None:
    import datetime as clock

    cerebro.addsizer(bt.sizers.PercentSizer, percents=30)
    cerebro.add_timer(when=clock.time(9, 40), strats=True)


def cheats(cerebro: Any) -> None:
    cerebro.broker.set_coc(True)


@pytest.mark.parametrize("market", MARKETS)
def test_every_kind_of_order_is_equal(market):
    seen = assert_equal(Everything, MARKETS[market])
    assert {"Completed", "Canceled", "Accepted", "Submitted"} <= statuses(seen)
    assert len(kinds_filled(seen)) >= 5
    assert any(entry[0] == "trade" for entry in seen)


@pytest.mark.parametrize("setup", [commissions, poor, timers_and_sizer, cheats], ids=lambda setup: setup.__name__)
@pytest.mark.parametrize("strategy", [Everything, Crosses], ids=lambda strategy: strategy.__name__)
def test_money_rules_sizers_and_timers_are_equal(strategy, setup):
    series = LATE if strategy is Everything else ONE
    seen = assert_equal(strategy, series, setup=setup, engines={name: ENGINES[name] for name in ("runonce", "next")})
    assert any(entry[0] == "order" for entry in seen)
    if setup is poor and strategy is Everything:
        assert "Margin" in statuses(seen)
    if setup is timers_and_sizer:
        assert any(entry[0] == "timer" for entry in seen)


def test_a_different_price_is_noticed():
    """The comparison itself can fail: one tick in one bar of one side."""
    altered = dict(ONE)
    key, candles = next(iter(ONE.items()))
    close = candles.close.copy()
    close[60] = close[60] + 0.05 if candles.high[60] > close[60] else close[60] - 0.05
    altered[key] = Candles.of(key, candles.interval, {**candles.columns(), "close": close})
    stock = seen_by_stock(Crosses, ONE, plain, {}, runonce=True)
    assert repr(stock) != repr(seen_by_btkite(Crosses, altered, plain, {}, Cerebro, runonce=True))


# ---- real candles ----


def real(folder: Path, pattern: str, key: str, rows: slice) -> Candles:
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"the real candles are not beside the repository: no {pattern} in {folder.name}/ (BTKITE_SHARED)")
    return canned.from_csv(found[0], symbol=key)[rows]


@pytest.mark.shared
def test_real_minutes_of_three_symbols_are_equal():
    series = {
        f"NSE:{name}": real(MINUTES, f"{name}_minute*.parquet", f"NSE:{name}", slice(250, 510))
        for name in ("RELIANCE", "INFY", "SBIN")
    }
    engines = {name: ENGINES[name] for name in ("runonce", "next")}
    seen = assert_equal(Everything, series, engines=engines)
    assert len(kinds_filled(seen)) >= 7
    assert any(entry[0] == "trade" for entry in assert_equal(Crosses, series, engines=engines))


@pytest.mark.shared
def test_real_days_of_a_symbol_are_equal():
    series = {"NSE:INFY": real(DAYS, "INFY_day.csv", "NSE:INFY", slice(-300, None))}
    engines = {name: ENGINES[name] for name in ("runonce", "next")}
    assert any(entry[0] == "trade" for entry in assert_equal(Everything, series, engines=engines))


# ---- strategies, made by hypothesis ----

ACTION = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(Everything.order_kinds),
        "buys": st.booleans(),
        "size": st.integers(1, 40),
        "a": st.integers(-12, 12),
        "b": st.integers(-12, 12),
        "valid": st.sampled_from([None, None, timedelta(minutes=2), timedelta(minutes=7), timedelta(0), 0, 0.5]),
        "data": st.integers(0, 2),
        "pick": st.integers(0, 30),
    }
)


@st.composite
def scripts(draw: Any) -> dict[int, list[dict[str, Any]]]:
    numbers = draw(st.lists(st.integers(9, 40), min_size=1, max_size=10, unique=True))
    return {number: draw(st.lists(ACTION, min_size=1, max_size=3)) for number in numbers}


@st.composite
def markets(draw: Any) -> Series:
    seed = draw(st.integers(0, 2**31))
    names = ("NSE:AAA", "NSE:BBB", "NSE:CCC")[: draw(st.sampled_from((1, 3)))]
    holes, late = draw(st.sampled_from((0.0, 0.3))), draw(st.sampled_from((0, 6)))
    return {key: generated(key, seed + n, count=45, holes=holes, late=late if n else 0) for n, key in enumerate(names)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(series=markets(), script=scripts(), engine=st.sampled_from(list(ENGINES)))
def test_made_up_strategies_are_equal(series, script, engine):
    assert_equal(Witness, series, engines={engine: ENGINES[engine]}, script=script)
