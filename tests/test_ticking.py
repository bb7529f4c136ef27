"""A frame as columns and the same frame tick by tick: bars, the broker and the judge of silence are told the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from btkite.clock import ManualClock, to_epoch
from btkite.config import Config
from btkite.feed import KiteData
from btkite.feeding import Feeding
from btkite.kite.columns import TickColumns
from btkite.kite.frames import MANY, Decoder
from btkite.series import Candles
from btkite.silence import Silence
from btkite.store import KiteStore
from btkite.values import Level, Tick
from tests.kite.encoded import frame, packet

OPEN = datetime(2025, 6, 10, 9, 15)
NAMES = ("NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD", "NSE:EEE")
TOKENS = {name: 256 * (90 - number) + 1 for number, name in enumerate(NAMES)}  # not in the order of keys
INDEX = 256_265


class Broker:
    """A broker that writes down what it hears, asks for some instruments' ticks one by one, and now and then for
    another one's after a tick."""

    def __init__(self, heeds, dice):
        self.heeds, self.dice, self.told = set(heeds), dice, []

    def take_tick(self, data, tick, now, bar_end, instrument=None):
        self.told.append((instrument.key, tick, now, bar_end))
        if instrument.key in self.heeds and self.dice.random() < 0.3:
            self.heeds = set(self.dice.sample(NAMES, 2))


class Heeding(Broker):
    def heeded(self):
        return self.heeds

    def take_quiet(self, ticks, first, stop):
        for at in range(first, stop):
            if ticks.times[at] % 7 == 0:
                return at
            key = ticks.feeds[at].key
            assert key not in self.heeds
            assert ticks.prices[at] == ticks.columns[ticks.places[at]].last_price
            self.told.append((key, ticks.columns[ticks.places[at]], ticks.times[at], ticks.ends[at]))
        return stop


class Scene:
    """A store's feeds on no stream: frames are handed to it."""

    def __init__(self, folder, broker, shape):
        self.store = KiteStore(
            mode="paper", config=Config().with_(**{"data.cache": str(folder)}), clock=ManualClock(OPEN)
        )
        self.store.silence = Silence(30.0)
        self.store.broker = broker
        self.feeds = []
        for name, interval, early in shape:
            data = KiteData(
                dataname=Candles.empty(name, interval), name=name, decide_at=time(15, 20) if early else None
            )
            token = INDEX if name == "NSE:NIFTY 50" else TOKENS[name]
            data.bind(replace(data.instrument, instrument_token=token))
            feeding = Feeding(self.store, data)
            feeding.state = "flowing"
            self.store._feeds.append(feeding)
            self.store._enter(feeding)
            self.feeds.append(feeding)

    def state(self):
        seen = {token: self.store.silence._seen.of(token) for token in (*TOKENS.values(), INDEX)}
        bars = [(bytes(feed.builder.state), feed.builder.forming, list(feed.pending)) for feed in self.feeds]
        return seen, self.store.silence._news, bars, [feed._cached for feed in self.feeds]


def a_tick(dice, name, now):
    """A packet of one instrument at about ``now``, as the wire can carry it."""
    stamp = dice.choice([now, now, now, now - dice.randint(0, 70)])
    price = dice.choice([100.0, 100.05, 99.95, 101.5, 0.0])
    if name == "NSE:NIFTY 50":
        return Tick(INDEX, "full", price, exchange_time=stamp, open=99.5, high=102.0, low=99.0, close=98.0)
    traded = dice.choice([stamp, stamp - 1, stamp - 100])
    mode = dice.choice(["full", "full", "full", "quote", "ltp"])
    tick = Tick(TOKENS.get(name, 9_999_905), mode, price)
    if mode == "ltp":
        return tick
    tick = tick._replace(
        volume=dice.randint(0, 900), last_quantity=1, average_price=100.0, buy_quantity=5, sell_quantity=6,
        open=dice.choice([0.0, 99.5]), high=102.0, low=99.0, close=98.0,
    )  # fmt: skip
    if mode == "quote":
        return tick
    levels = tuple(Level(100.0 + 0.05 * step, dice.randint(0, 9), 1) for step in range(10))
    return tick._replace(
        exchange_time=stamp, last_trade_time=traded, oi=dice.randint(0, 9), bids=levels[:5], asks=levels[5:]
    )


@given(st.integers(0, 2**32))
def test_columns_and_single_ticks_come_to_the_same(tmp_path_factory, seed):
    dice = Random(seed)
    folder = tmp_path_factory.getbasetemp()
    shape = [(name, dice.choice(["minute", "5minute", "day"]), False) for name in (*NAMES, "NSE:NIFTY 50")]
    shape += [(dice.choice(NAMES), dice.choice(["minute", "15minute"]), False) for _ in range(2)]
    shape += [("NSE:AAA", "day", True)]
    dice.shuffle(shape)
    shape = shape[: dice.randint(1, len(shape))]
    heeds = dice.sample(NAMES, dice.choice([0, 1, 3]))
    mine, theirs = dice.choice(
        [(None, None), (Broker(heeds, Random(seed)), Broker(heeds, Random(seed)))]
        + [(Heeding(heeds, Random(seed)), Broker(heeds, Random(seed)))] * 3
    )
    scenes = Scene(folder, mine, shape), Scene(folder, theirs, shape)
    now = dice.choice([OPEN, OPEN.replace(hour=15, minute=18), OPEN.replace(hour=15, minute=28)])
    for _ in range(12):
        now += timedelta(seconds=dice.choice([0, 1, 5, 30, 61]))
        if dice.random() < 0.2:
            place, state = dice.randrange(len(shape)), dice.choice(["joining", "flowing", "broken"])
            for scene in scenes:
                scene.feeds[place].state = state
        names = dice.choices([*NAMES, "NSE:NIFTY 50", "NSE:STRANGER"], k=dice.choice([1, 5, 12]))
        if dice.random() < 0.5:
            names = list(dict.fromkeys(names))
        wire = frame([packet(a_tick(dice, name, int(to_epoch(now)))) for name in names])
        columns, ticks = Decoder().decode_columns(wire), Decoder().decode(wire)
        assert isinstance(columns, TickColumns)
        scenes[0].store.take_ticks(columns, now)
        scenes[1].store.take_ticks(ticks, now)
        for scene in scenes:
            for feeding in scene.store._closing(now, 1.0, complete=False):
                feeding.close(now, 1.0, complete=False)
        assert scenes[0].state() == scenes[1].state()
    if mine is not None:
        assert mine.told == theirs.told


def test_many_ticks_come_as_columns_and_a_few_as_ticks():
    few, many = (
        frame([packet(Tick(256 * number + 1, "ltp", 100.0)) for number in range(count)]) for count in (MANY - 1, MANY)
    )
    assert isinstance(Decoder().read(few), list)
    read = Decoder().read(many)
    assert isinstance(read, TickColumns)
    assert list(read) == Decoder().decode(many)
    assert [read[place] for place in range(-MANY, MANY)] == 2 * Decoder().decode(many)


def test_a_feed_that_ends_is_told_nothing_more(tmp_path):
    scene = Scene(tmp_path, None, [("NSE:AAA", "minute", False), ("NSE:BBB", "minute", False)])
    gone = scene.feeds[0]
    scene.store.detach(gone.data)
    now = OPEN + timedelta(minutes=3)
    wire = frame(
        [packet(Tick(TOKENS[name], "full", 100.0, 5, int(to_epoch(now)), bids=_FLAT, asks=_FLAT)) for name in NAMES]
    )
    scene.store.take_ticks(Decoder().decode_columns(wire), now)
    assert gone.builder.forming is None
    assert scene.feeds[1].builder.forming is not None
    assert scene.store._closing(now + timedelta(minutes=2), 0.0, complete=True) == [scene.feeds[1]]


def test_of_many_feeds_those_are_asked_for_bars_whose_bars_are_over(tmp_path):
    scene = Scene(tmp_path, None, [(name, interval, False) for name in NAMES for interval in ("minute", "5minute")])
    stamp = int(to_epoch(OPEN + timedelta(minutes=3)))
    wire = frame([packet(Tick(TOKENS[name], "full", 100.0, 5, stamp, bids=_FLAT, asks=_FLAT)) for name in NAMES[:3]])
    scene.store.take_ticks(Decoder().decode_columns(wire), OPEN + timedelta(minutes=3))
    over = scene.store._closing(OPEN + timedelta(minutes=4), 0.0, complete=True)
    assert sorted(map(repr, over)) == [f"{name} minute" for name in NAMES[:3]]


_FLAT = (Level(100.0, 1, 1),) * 5
