"""What a slot's words mean: of the day and the prices that the run has seen, the same in every mode."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import backtrader as bt
import pytest

from btkite.candles import Candles
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError, UnknownSymbol
from btkite.grid import ends_of
from btkite.linetime import from_seconds, seconds_of
from btkite.modes import MODES
from btkite.store import KiteStore
from btkite.testing.wire import USER

EVERY_MODE = pytest.mark.parametrize("mode", MODES)
DAYS = (datetime(2024, 7, 3), datetime(2024, 7, 4), datetime(2024, 7, 5))  # NIFTY's weekly contracts expire on the 4th
FREE = {"risk.enabled": False, "broker.charges": False}
SPOT = "NSE:NIFTY 50"
THIS, NEXT = "NFO:NIFTY24704", "NFO:NIFTY24711"
STRIKES = range(23_900, 24_151, 50)


def rows(key, base, days=DAYS, count=30):
    """A walk that differs from contract to contract and never stands."""
    seed, found = sum(map(ord, key)), []
    for day in days:
        for n in range(count):
            price = round((base + (seed * 7 + n * 13 + day.day * 5) % 40) * 20) / 20
            start = day + timedelta(hours=9, minutes=15 + n)
            found.append((start, price, price + 3, price - 3, price + 1, 100 + n, 0))
    return found


def series(key, found):
    names = ("date", "open", "high", "low", "close", "volume", "oi")
    return Candles.of(key, "minute", dict(zip(names, zip(*found, strict=True), strict=True)))


def market():
    """The index near 24000, and calls of two weeks around it."""
    made = {SPOT: series(SPOT, rows(SPOT, 24_000.0))}
    for week, days in ((THIS, DAYS[:2]), (NEXT, DAYS)):
        for strike in STRIKES:
            key = f"{week}{strike}CE"
            made[key] = series(key, rows(key, 100.0 + (24_150 - strike) / 2, days))
    return made


class Straddler(bt.Strategy):
    """At 09:20 of each day the call at the money; sold, and bought back at 09:30 through whatever it is then."""

    params = (("words", "ATM weekly"), ("spot", None))

    def __init__(self):
        self.bound, self.done, self.closes, self.errors = [], [], [], []

    def next(self):
        now, slot = from_seconds(seconds_of(self.data.datetime[0])), self.datas[-1]
        if now.time() == time(9, 20):
            try:
                slot.bind(self.p.words, spot=self.p.spot)
            except (ConfigError, UnknownSymbol) as error:
                self.errors.append(str(error))
                self.env.runstop()
                return
            self.bound.append((now, slot.instrument.key, slot.instrument.expiry))
        if now.time() == time(9, 22):
            self.sell(data=slot, size=slot.instrument.lot_size)
        if now.time() == time(9, 30):
            self.close(data=slot)
        if not slot.unbound and slot.close[0] == slot.close[0]:
            self.closes.append((now, slot.close[0]))

    def notify_order(self, order):
        if order.status == order.Completed:
            self.done.append((order.info.instrument, order.executed.size, order.executed.price, order.executed.dt))


@pytest.fixture
def run(kite_exchange, tmp_path):
    def run(mode, *, feeds=(SPOT,), family="NFO:NIFTY CE", candles=None, **more):
        candles = candles or market()
        kite_exchange.reset(candles, start=candles[SPOT].first - timedelta(minutes=15))
        store = KiteStore(mode="paper", config=kite_exchange.config(**FREE))
        dump = store.master
        if MODES[mode].bars == "stream":
            store = KiteStore(mode=mode, config=kite_exchange.config(**FREE), confirm=USER)
        else:
            store = KiteStore(config=Config().with_(**FREE, **{"data.cache": str(tmp_path)}))
            dump.save(store._dumps)
            for one in candles.values():
                store.cache.write(one)
        cerebro = Cerebro(stdstats=False)
        for key in feeds:
            cerebro.adddata(store.getdata(key, interval="minute"))
        cerebro.adddata(store.slot(family, interval="minute"))
        cerebro.setbroker(store.getbroker())
        cerebro.addstrategy(Straddler, **more)
        return cerebro.run()[0]

    return run


MONTH = (datetime(2024, 7, 24), datetime(2024, 7, 25), datetime(2024, 7, 26))  # the monthly contracts end on the 25th


def months():
    """The index and two months of futures and calls on it."""
    made = {SPOT: series(SPOT, rows(SPOT, 24_000.0, MONTH))}
    for month, days in (("JUL", MONTH[:2]), ("AUG", MONTH)):
        for rest in ("FUT", *(f"{strike}CE" for strike in STRIKES)):
            key = f"NFO:NIFTY24{month}{rest}"
            made[key] = series(key, rows(key, 24_050.0 if rest == "FUT" else 200.0, days))
    return made


@EVERY_MODE
@pytest.mark.parametrize("words", [("NFO:NIFTY FUT", "near"), ("NFO:NIFTY CE", "24000 monthly")])
def test_the_month_rolls_on_the_day_after_its_expiry(run, mode, words):
    family, said = words
    ran = run(mode, family=family, words=said, candles=months())
    rest = "FUT" if said == "near" else "24000CE"
    assert [row[1] for row in ran.bound] == [f"NFO:NIFTY24{month}{rest}" for month in ("JUL", "JUL", "AUG")]
    assert [row[0] for row in ran.done[::2]] == [row[1] for row in ran.bound]


def nearest(at):
    """The listed strike nearest to the index's close of the minute that ends at ``at``."""
    index = market()[SPOT]
    ends = ends_of(SPOT, "minute")(index.start).tolist()
    close = index.close[ends.index(at)]
    return min(STRIKES, key=lambda strike: (abs(strike - close), strike))


@EVERY_MODE
def test_the_strike_is_chosen_at_0920_of_each_day_and_the_week_rolls(run, mode):
    ran = run(mode)
    at = [day + timedelta(hours=9, minutes=20) for day in DAYS]
    weeks = [THIS, THIS, NEXT]  # on the day of its expiry a contract still trades
    assert [row[:2] for row in ran.bound] == [
        (moment, f"{week}{nearest(moment)}CE") for moment, week in zip(at, weeks, strict=True)
    ]
    assert [row[2] for row in ran.bound] == [DAYS[1].date(), DAYS[1].date(), datetime(2024, 7, 11).date()]
    assert len(ran.done) == 6


def test_what_was_bound_traded_and_seen_is_equal_in_every_mode(run):
    ran = {mode: run(mode) for mode in MODES}
    for what in ("bound", "done", "closes"):
        stories = [getattr(one, what) for one in ran.values()]
        assert stories[0]
        assert stories.count(stories[0]) == len(MODES), what


@EVERY_MODE
def test_the_price_of_the_underlying_is_the_runs_own_or_said(run, mode):
    ran = run(mode, feeds=(f"{THIS}24000CE",))
    assert "no feed of this run has a bar of NSE:NIFTY 50" in ran.errors[0]
    ran = run(mode, feeds=(f"{THIS}24000CE",), spot=24_060.0)
    assert ran.bound[0][1] == f"{THIS}24050CE"


@EVERY_MODE
def test_words_that_mean_nothing_are_one_sentence(run, mode):
    (sentence,) = run(mode, words="ATM fortnightly").errors
    assert sentence.startswith("'NFO:NIFTY CE ATM fortnightly' means no contract: say near or next, ATM weekly")


@EVERY_MODE
def test_a_slot_with_a_family_takes_a_strike_and_a_symbol_too(run, mode):
    assert run(mode, words="24100 next weekly").bound[0][1] == f"{NEXT}24100CE"
    assert run(mode, words=f"{THIS}23950CE").bound[0][1] == f"{THIS}23950CE"
