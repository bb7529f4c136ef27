"""Gap repair: after an outage every bar comes once, in order, as the exchange's candles say, and is not traded.

The judge is the exchange: its candles, and its log of what it was asked.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.linetime import from_seconds, seconds_of
from tests.faults.seeds import seeds
from tests.test_feeding import TUESDAY, WEDNESDAY, Watch, after, at, candles, rows

SYMBOLS = ("NSE:AAA", "NSE:BBB", "NSE:CCC")
MINUTE = timedelta(minutes=1)
ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])


class Trader(Watch):
    """Wants to open a position on every bar, and notes which bars were repaired."""

    params = (("buys", True), ("of", 0), ("size", 1), ("closes_at", None))

    def __init__(self) -> None:
        super().__init__()
        self.repaired: dict[str, list[datetime]] = {}
        self.given: dict[datetime, list[Any]] = {}

    def next(self) -> None:
        super().next()
        now = from_seconds(seconds_of(self.datetime[0]))
        for data in self.datas:
            if data.repaired:
                ends = self.repaired.setdefault(data._name, [])
                if not ends or ends[-1] != from_seconds(seconds_of(data.datetime[0])):
                    ends.append(from_seconds(seconds_of(data.datetime[0])))
        if self.p.closes_at == now:
            self.given.setdefault(now, []).append(self.close(self.data))
        elif self.p.buys:
            self.given.setdefault(now, []).append(self.buy(self.datas[self.p.of], size=self.p.size))


def outage(kite_exchange: Any, begin: datetime, end: datetime) -> None:
    """The stream is cut, and nobody may connect again until ``end``."""
    kite_exchange.steer.arm("upgrade_refused", status=503, at=begin, until=end, times=0)
    kite_exchange.steer.arm("socket_cut", at=begin)


def go(kite_exchange: Any, market: dict[str, Any], *outages: tuple[datetime, datetime], **more: Any) -> Trader:
    config = {"data.warmup": 3, **more.pop("config", {})}
    engine = more.pop("engine", Cerebro)
    if more.pop("reset", True):
        kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9), **more.pop("settings", {}))
    for begin, end in outages:
        outage(kite_exchange, begin, end)
    store = kite_exchange.store("live", config=kite_exchange.config(**config))
    cerebro = engine(stdstats=False)
    for key in market:
        cerebro.adddata(store.getdata(key, interval=more.get("interval", "minute")), name=key)
    more.pop("interval", None)
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Trader, **more)
    (ran,) = cerebro.run()
    return ran


def three(count: int = 30, holes: dict[str, set[int]] | None = None) -> dict[str, Any]:
    return {
        key: candles(key, count=count, seed=n, holes=(holes or {}).get(key, ())) for n, key in enumerate(SYMBOLS, 1)
    }


def buys(kite_exchange: Any) -> list[datetime]:
    """When the exchange was asked for an order."""
    asked = [row for row in kite_exchange.requests() if row["method"] == "POST" and row["path"].startswith("/orders")]
    return [datetime.fromisoformat(row["time"]).replace(tzinfo=None) for row in asked]


def minutes(first: int, last: int) -> list[datetime]:
    return [at(minute) for minute in range(first, last + 1)]


OUTAGES = {
    "seven minutes": [(at(20, 30), at(27, 30))],
    "to the second of a bar's end": [(at(20), at(27))],
    "two, one after the other": [(at(20, 30), at(23, 10)), (at(23, 40), at(26, 20))],
    "two within one bar": [(at(20, 5), at(20, 20)), (at(20, 35), at(20, 50))],
}
LAST = {
    "seven minutes": 28,
    "to the second of a bar's end": 27,  # or the next, if the connection stands a second later
    "two, one after the other": 27,
    "two within one bar": 21,
}


@pytest.mark.parametrize("name", OUTAGES)
def test_every_missed_bar_comes_once_in_order_as_the_exchange_has_it_and_no_entry_leaves(kite_exchange, name):
    market = three()
    ran = go(kite_exchange, market, *OUTAGES[name])
    for key, given in market.items():
        assert ran.bars[key] == rows(given)[27:], key
        assert ran.traded[key] == after(given, TUESDAY), key
    assert len(ran.together) == 3 + 30
    repaired = ran.repaired["NSE:AAA"]
    assert repaired in (minutes(21, LAST[name]), minutes(21, LAST[name] + 1))
    assert ran.repaired == dict.fromkeys(SYMBOLS, repaired)
    for end, (order,) in ran.given.items():
        assert (order.info.get("denied_by") == "data.trade_repaired") == (end in repaired), end
    sent = [end for end, (order,) in ran.given.items() if not order.info.get("denied")]
    assert len(buys(kite_exchange)) == len(sent) == 30 - len(repaired)
    assert sorted(buys(kite_exchange)) == sent  # each at its bar's end, none while bars were caught up with


@pytest.mark.parametrize("seed", seeds(4, 200))
def test_outages_by_chance(kite_exchange, seed):
    """Up to three, of a second to eight minutes, over one to four symbols that do not trade in each minute, but in
    the first (next() waits for a bar of each)."""
    rng = random.Random(seed)
    keys = [f"NSE:{letter * 3}" for letter in "ABCD"[: rng.randint(1, 4)]]
    missing = {key: set(rng.sample(range(1, 40), rng.randint(0, 6))) for key in keys}
    missing[keys[0]] = set()  # its bars are the strategy's clock
    market = {key: candles(key, count=40, seed=100 * seed + n, holes=missing[key]) for n, key in enumerate(keys)}
    outages, moment = [], at(18)
    for _ in range(rng.randint(1, 3)):
        begin = moment + timedelta(seconds=rng.randint(1, 300))
        moment = begin + timedelta(seconds=rng.choice([1, 20, 59, 60, 61, 150, rng.randint(2, 480)]))
        outages.append((begin, moment))
    ran = go(kite_exchange, market, *outages)
    for key, given in market.items():
        assert ran.bars[key] == rows(given)[-len(after(given, TUESDAY)) - 3 :], key
        assert ran.traded[key] == after(given, TUESDAY), key
    lost = {
        bar[0]
        for bar in after(market[keys[0]], TUESDAY)
        for begin, end in outages
        if begin < bar[0] <= end  # its end, and so its last tick, came while nobody listened
    }
    repaired = set(ran.repaired.get(keys[0], ()))
    assert lost <= repaired
    assert all(any(begin < one <= end + 2 * MINUTE for begin, end in outages) for one in repaired)
    caught_up = set().union(*map(set, ran.repaired.values())) if ran.repaired else set()
    for end, (order,) in ran.given.items():
        assert (order.info.get("denied_by") == "data.trade_repaired") == (end in caught_up), end
    sent = [end for end, (order,) in ran.given.items() if not order.info.get("denied")]
    assert sorted(buys(kite_exchange)) == sent


def test_a_bar_that_ticks_were_lost_of_is_flagged_and_every_other_is_the_exchanges_candle(kite_exchange):
    """Frames that cannot be read, before the stream breaks: what was built without them differs, and it is said of
    each such bar, once, with both figures; nothing else differs."""
    market = three()
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9))
    kite_exchange.steer.arm("malformed_frame", how="half", at=at(18, 1), until=at(19, 1), times=0)
    ran = go(kite_exchange, market, (at(20, 30), at(27, 30)), reset=False)
    differs = [
        (key, ours[0], ours[5], theirs[5])
        for key, given in market.items()
        for ours, theirs in zip(ran.traded[key], after(given, TUESDAY), strict=True)
        if ours != theirs
    ]
    assert differs
    assert {end for _, end, *_ in differs} <= {at(19), at(20)}  # what a cut volume lacks, the next bar has too much
    flagged = [news for news in ran.told if "built from ticks with" in news]
    assert len(flagged) == len(differs)
    for key, end, ours, theirs in differs:
        (said,) = [news for news in flagged if news.startswith(f"{key} {end}")]
        assert ours == theirs or f"volume {ours:g} instead of {theirs:g}" in said
    assert any(ours != theirs for _, _, ours, theirs in differs)
    assert len(ran.together) == 3 + 30  # next() once a bar, whatever was lost


@ENGINES
def test_a_repaired_bar_is_traded_if_that_is_wanted(kite_exchange, engine):
    ran = go(kite_exchange, three(), (at(20, 30), at(27, 30)), config={"data.trade_repaired": True}, engine=engine)
    assert ran.repaired["NSE:AAA"]
    assert len(buys(kite_exchange)) == 30
    assert {order.info.get("denied_by") for (order,) in ran.given.values()} <= {None, "data.warmup"}


@ENGINES
def test_an_exit_may_leave_on_a_repaired_bar(kite_exchange, engine):
    ran = go(kite_exchange, three(), (at(20, 30), at(27, 30)), closes_at=at(23), size=2, engine=engine)
    exit_order = ran.given[at(23)][0]
    assert at(23) in ran.repaired["NSE:AAA"]
    assert exit_order.status == exit_order.Completed
    assert abs(exit_order.executed.size) == 2 * 5  # what was bought at 09:16 to 09:20
    assert next(iter(kite_exchange.positions()))["sell_quantity"] == 10


def test_a_symbol_that_did_not_trade_in_a_minute_of_the_outage_has_no_bar_of_it(kite_exchange):
    market = three(holes={"NSE:BBB": {7, 8}, "NSE:CCC": {12}})
    ran = go(kite_exchange, market, (at(20, 30), at(27, 30)))
    for key, given in market.items():
        assert ran.traded[key] == after(given, TUESDAY)
    assert at(23) in ran.repaired["NSE:AAA"]
    assert at(23) not in ran.repaired["NSE:BBB"]
    assert ran.given[at(23)][0].info.denied_by == "data.trade_repaired"


def test_no_entry_leaves_in_a_symbol_of_its_own_while_another_is_caught_up_with(kite_exchange):
    """It was decided on all that the strategy sees: another symbol's repaired bar is news that is as old."""
    market = three(holes={"NSE:BBB": {6, 7}})
    ran = go(kite_exchange, market, (at(21, 30), at(24, 10)), of=1)
    assert {at(22), at(23)} <= set(ran.repaired["NSE:AAA"])
    assert not {at(21), at(22), at(23)} & set(ran.repaired["NSE:BBB"])  # its bar is of 09:21, and came in time
    assert ran.given[at(21)][0].info.get("denied_by") is None
    assert [ran.given[at(minute)][0].info.get("denied_by") for minute in (22, 23)] == ["data.trade_repaired"] * 2
    assert not [moment for moment in buys(kite_exchange) if at(21, 30) < moment < at(24)]


def test_an_entry_leaves_again_although_a_silent_symbols_last_bar_was_repaired(kite_exchange):
    """The bar that it is decided on is new; that the other symbol has not traded since is no outage."""
    ran = go(kite_exchange, three(holes={"NSE:BBB": set(range(9, 16))}), (at(20, 30), at(23, 10)))
    assert at(24) in ran.repaired["NSE:BBB"] or at(23) in ran.repaired["NSE:BBB"]
    assert [ran.given[at(minute)][0].info.get("denied_by") for minute in (27, 28, 29)] == [None] * 3
    assert {at(27), at(28), at(29)} <= set(buys(kite_exchange))


def test_bars_of_five_minutes_over_whose_end_the_outage_lasts(kite_exchange):
    from btkite.grid import windows_of
    from btkite.series import aggregate

    market = three(count=60)
    ran = go(kite_exchange, market, (at(23, 30), at(31, 10)), interval="5minute")
    for key, given in market.items():
        assert ran.traded[key] == after(aggregate(given, "5minute", windows_of(key)), TUESDAY)
    assert ran.repaired["NSE:AAA"] == [at(25), at(30), at(35)]


@pytest.mark.parametrize("days", [(TUESDAY,), (TUESDAY, WEDNESDAY)], ids=["the last", "and a morning after"])
@pytest.mark.parametrize("back", [None, at(16 * 60 - 9 * 60)], ids=["never back", "back after the close"])
def test_an_outage_at_the_sessions_end_loses_no_bar(kite_exchange, back, days):
    """The session is over while the stream is away: the run does not end before history has given the rest."""
    market = {key: candles(key, days=days, count=375, seed=n) for n, key in enumerate(SYMBOLS, 1)}
    end = back or TUESDAY + timedelta(days=1)
    outages = (at(6 * 60 + 20, 30), end)  # 15:20:30
    ran = go(kite_exchange, market, outages, config={"run.sessions": 1, "data.warmup": 0}, buys=False)
    for key, given in market.items():
        assert ran.traded[key] == after(given, TUESDAY)[:375], key
    assert ran.repaired["NSE:AAA"] == minutes(6 * 60 + 21, 6 * 60 + 30)
