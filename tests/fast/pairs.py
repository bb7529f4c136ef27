"""One run in two loops, and all that can be seen of each: what strategies are told, lines, observers, analyzers,
money. Values are compared as the doubles they are."""

from __future__ import annotations

import datetime as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.series import Candles
from tests.parity.test_equality import CASH, Witness, frame, timeframe

ALL_ANALYZERS = (
    "AnnualReturn", "Calmar", "DrawDown", "TimeDrawDown", "GrossLeverage", "LogReturnsRolling", "PeriodStats",
    "PositionsValue", "PyFolio", "Returns", "SharpeRatio", "SharpeRatio_A", "SQN", "TimeReturn", "TradeAnalyzer",
    "Transactions", "VWR",
)  # fmt: skip


class Quiet(Witness):
    """Looks at nothing unless something happens: nobody asks for the value of a bar."""

    notify_cashvalue = bt.Strategy.notify_cashvalue
    notify_fund = bt.Strategy.notify_fund

    def prenext(self) -> None:
        """Nothing."""

    def next(self) -> None:
        if len(self) % 7 == 0:
            self.note_bar("next")
        self.play()


class Curious(Quiet):
    """Reads its own observers and analyzers in the middle of the run."""

    def next(self) -> None:
        super().next()
        if len(self) in (15, 16, 40):
            self.seen.append(("stats", [line[0] for line in self.stats.broker.lines] if self.stats else None))
            known = [one for one in self.analyzers if not isinstance(one, bt.analyzers.AnnualReturn)]  # only at the end
            self.seen += [("analysis", plain(analyzer.get_analysis())) for analyzer in known]


class Counter(bt.Analyzer):
    """A user's own: hears everything."""

    def create_analysis(self) -> None:
        self.heard: list[Any] = []

    def next(self) -> None:
        strategy = self.strategy
        self.heard.append((len(strategy), strategy.broker.getvalue(), [len(data) for data in self.datas]))

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        self.heard.append((cash, value, fundvalue, shares))

    def notify_order(self, order: Any) -> None:
        self.heard.append((order.status, order.executed.size))

    def notify_trade(self, trade: Any) -> None:
        self.heard.append((trade.pnlcomm, trade.barlen))

    def get_analysis(self) -> Any:
        return self.heard


class Middle(bt.Observer):
    """A user's own observer; it looks at one of backtrader's."""

    lines = ("middle", "worth")

    def next(self) -> None:
        data = self._owner.datas[0]
        if len(data):
            self.lines.middle[0] = (data.high[0] + data.low[0]) / 2
        if hasattr(self._owner.stats, "broker"):
            self.lines.worth[0] = self._owner.stats.broker.value[0]


@dataclass
class Case:
    """``rule`` of the broker; ``money``: commissions and cash; the rest is Cerebro's."""

    series: Mapping[str, Candles]
    rule: str = "backtrader"
    strategies: tuple[type[bt.Strategy], ...] = (Witness,)
    params: dict[str, Any] = field(default_factory=dict)
    quicknotify: bool = False
    stdstats: bool = True
    analyzers: tuple[Any, ...] = ()
    observers: tuple[Any, ...] = ()
    timer: bool = False
    cheat: bool = False
    setup: Callable[[Any], None] = lambda cerebro: None
    resampled: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)


def plain(found: Any) -> Any:
    """An analysis without the kinds of its dictionaries."""
    if isinstance(found, Mapping):
        return {key: plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return found


def _add(cerebro: Any, case: Case) -> None:
    cerebro.broker.setcash(CASH)
    case.setup(cerebro)
    for name in case.analyzers:
        if isinstance(name, str):
            cerebro.addanalyzer(getattr(bt.analyzers, name))
        else:
            kind, params = name if isinstance(name, tuple) else (name, {})
            cerebro.addanalyzer(kind, **params)
    for observer in case.observers:
        cerebro.addobserver(observer)
    if case.timer:
        cerebro.add_timer(when=clock.time(9, 40), strats=True)
        cerebro.add_timer(when=clock.time(9, 30), strats=True, cheat=True)
    for strategy in case.strategies:
        cerebro.addstrategy(strategy, **case.params)


def _look(cerebro: Any, strategies: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, strategy in enumerate(strategies):
        name = f"strategy {number}"
        found[f"{name} saw"] = [repr(entry) for entry in strategy.seen]
        found[f"{name} when"] = strategy.datetime.array.tolist()
        found[f"{name} len"] = len(strategy)
        for place, part in enumerate(strategy._lineiterators[strategy.IndType]):
            lines = part.lines.lines if hasattr(part.lines, "lines") else [part]
            found[f"{name} {type(part).__name__} {place}"] = [
                (len(line), line.idx, repr(line.array[: line.buflen()].tolist())) for line in lines
            ]
        for place, part in enumerate(strategy._lineiterators[strategy.ObsType]):
            found[f"{name} {type(part).__name__} {place}"] = [
                (len(line), line.idx, repr(line.plot(0, len(line)).tolist())) for line in part.lines.lines
            ]
        for part in strategy.analyzers:
            found[f"{name} {type(part).__name__}"] = repr(plain(part.get_analysis()))
    for place, data in enumerate(cerebro.datas):
        found[f"data {place}"] = [(len(line), line.idx) for line in data.lines.lines]
        position = cerebro.broker.getposition(data)
        found[f"position {place}"] = repr((position.size, position.price))
    broker = cerebro.broker
    found["money"] = repr((broker.getcash(), broker.getvalue(), broker.fundvalue, broker.fundshares))
    if isinstance(broker, bt.brokers.BackBroker):
        found["leverage"] = repr((broker.get_leverage(), broker._valuelever, broker._valuemkt, broker._unrealized))
    if isinstance(broker, SimBroker):
        ledger = broker.ledger
        found["limits passed"] = repr((ledger.latched, ledger.stopped, ledger.losing_streak, ledger.lost_last))
        found["ledger"] = repr((ledger.realized, ledger.charges, ledger.peak, ledger.day_start_value, ledger.session))
    return found


def by_stock(case: Case) -> dict[str, Any]:
    """backtrader from its wheel: bt.Cerebro, BackBroker, PandasData."""
    cerebro = bt.Cerebro(stdstats=case.stdstats, quicknotify=case.quicknotify, cheat_on_open=case.cheat)
    cerebro.setbroker(bt.brokers.BackBroker())
    for key, candles in case.series.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame(candles), **timeframe(candles)), name=key)
    if case.resampled:
        cerebro.resampledata(cerebro.datas[0].clone(), name="slow", timeframe=bt.TimeFrame.Minutes, compression=5)
    _add(cerebro, case)
    return _look(cerebro, cerebro.run())


def by_us(case: Case, engine: str, ran: str = "") -> dict[str, Any]:
    """btkite's Cerebro in one of its loops."""
    cerebro = Cerebro(stdstats=case.stdstats, quicknotify=case.quicknotify, cheat_on_open=case.cheat, engine=engine)
    if case.rule == "stock broker":
        cerebro.setbroker(bt.brokers.BackBroker())
    else:
        cerebro.setbroker(SimBroker(rule=case.rule, config=Config().with_(**{"broker.charges": False, **case.config})))
    for key, candles in case.series.items():
        cerebro.adddata(KiteData(dataname=candles), name=key)
    if case.resampled:
        cerebro.resampledata(cerebro.datas[0].clone(), name="slow", timeframe=bt.TimeFrame.Minutes, compression=5)
    _add(cerebro, case)
    strategies = cerebro.run()
    assert cerebro.engine == (ran or engine), cerebro.why_stock
    return _look(cerebro, strategies)


def assert_pair(case: Case) -> dict[str, Any]:
    """The fast loop against backtrader's own; where that cannot do what is asked, against ours, bar by bar."""
    fast = by_us(case, "fast")
    ours = case.rule == "path" or case.quicknotify or case.resampled
    other = by_us(case, "stock") if ours else by_stock(case)
    for name, wanted in other.items():
        if fast.get(name) == wanted:
            continue
        if isinstance(wanted, list):
            for number, (theirs, mine) in enumerate(zip(wanted, fast[name], strict=False)):
                assert mine == theirs, f"{name}, entry {number}:\nfast  {mine}\nstock {theirs}"
            assert len(fast[name]) == len(wanted), name
        pytest.fail(f"{name}\nfast  {fast.get(name)}\nstock {wanted}")
    return fast
