"""Pre-open, closing auction, broken days and halts: what is taken when, and at which price it trades."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from btkite.exchange import BadSettings, CandleSeries, Exchange, ExchangeSettings
from btkite.exchange import hours as table
from btkite.exchange.errors import Refusal
from btkite.exchange.halts import breaker_minutes
from btkite.exchange.history import candles as rows_of
from btkite.exchange.instruments import describe
from btkite.exchange.timetable import Phase, auction_shares, timetable

from .scene import DAY, KEY, Bar, Client, Scene, candles, form, settings
from .scene_days import joined

FLAT: Bar = (100.0, 100.0, 100.0, 100.0)
UP: Bar = (100.0, 104.0, 98.0, 102.0)
OTHER = "NSE:SBIN"


def hhmm(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 3600 + int(minute) * 60


def minutes(*at: str, price: float = 100.0, day: datetime = DAY, volume: int = 10) -> CandleSeries:
    """A flat candle at each time."""
    starts = [day + timedelta(seconds=hhmm(text)) for text in at]
    column = [price + i for i in range(len(at))]
    return CandleSeries(interval="minute", start=starts, open=column, high=column, low=column, close=column,
                        volume=[volume] * len(at))  # fmt: skip


def phases(exchange: str, of: str, day: date, **more: Any) -> list[tuple[str, str]]:
    made = ExchangeSettings(start=DAY, pre_open=True, closing_auction=True, split_sessions=True, **more)
    found = timetable(exchange, of, day, table.session(exchange, day), made)
    return [
        (f"{second // 3600:02d}:{second % 3600 // 60:02d}", phase.name)
        for second, phase in zip(found.begins, found.phases, strict=True)
    ]


# the timetable


def test_a_share_that_has_derivatives_ends_in_the_closing_auction() -> None:
    found = phases("NSE", "cas", date(2026, 11, 18))
    assert found[:5] == [
        ("00:00", "CLOSED"), ("09:00", "PRE_OPEN"), ("09:05", "PRE_OPEN_LIMITS"), ("09:10", "BREAK"), ("09:15", "OPEN"),
    ]  # fmt: skip
    assert found[5:8] == [("15:15", "BREAK"), ("15:20", "AUCTION"), ("15:25", "AUCTION_LIMITS")]
    assert found[8][1] == "BREAK"
    assert "15:28" <= found[8][0] < "15:30"
    assert found[9] == ("15:30", "CLOSED")


@pytest.mark.parametrize(
    ("exchange", "of", "day", "expected"),
    [
        ("NSE", "cas", date(2026, 7, 31), ["09:00 PRE_OPEN", "09:08 BREAK", "09:15 OPEN", "15:30 CLOSED"]),
        ("NSE", "", date(2026, 9, 4), ["09:00 PRE_OPEN", "09:08 BREAK", "09:15 OPEN", "15:30 CLOSED"]),
        ("NFO", "futures", date(2025, 12, 5), ["09:15 OPEN", "15:30 CLOSED"]),
        ("NFO", "futures", date(2025, 12, 8), ["09:00 PRE_OPEN", "09:08 BREAK", "09:15 OPEN", "15:30 CLOSED"]),
        ("NFO", "", date(2026, 8, 3), ["09:15 OPEN", "15:40 CLOSED"]),
        ("MCX", "", date(2026, 11, 18), ["09:00 OPEN", "23:55 CLOSED"]),
        ("MCX", "", date(2018, 12, 28), ["10:00 OPEN", "23:55 CLOSED"]),
        ("NSE", "", date(2024, 3, 2), ["09:00 PRE_OPEN", "09:08 BREAK", "09:15 OPEN", "10:00 BREAK", "11:30 OPEN",
                                       "12:30 CLOSED"]),
        ("NSE", "", date(2021, 11, 4), ["18:00 PRE_OPEN", "18:08 BREAK", "18:15 OPEN", "19:15 CLOSED"]),
        ("NSE", "", date(2026, 11, 24), []),
    ],
)  # fmt: skip
def test_timetables_by_date(exchange: str, of: str, day: date, expected: list[str]) -> None:
    assert [f"{time} {phase}" for time, phase in phases(exchange, of, day)][1:] == expected


def test_shares_of_the_auction_are_those_with_derivatives_unless_they_are_named() -> None:
    rows = [describe(key) for key in (KEY, OTHER, "NSE:SMALL", "NSE:TINY", "NFO:SMALL26NOVFUT", "NSE:NIFTY 50")]
    on = ExchangeSettings(start=DAY, closing_auction=True)
    assert auction_shares(rows, on) == {KEY, OTHER, "NSE:SMALL"}  # by the table of lots, and by what is listed
    assert auction_shares([describe("BSE:CDSL"), describe("BFO:CDSL26NOVFUT")], on) == frozenset()
    assert auction_shares(rows, ExchangeSettings(start=DAY, closing_auction=True, auction_shares=[OTHER])) == {OTHER}
    assert auction_shares(rows, ExchangeSettings(start=DAY)) == frozenset()


# pre-open


def test_pre_open_orders_trade_at_the_days_opening_price_and_the_rest_goes_on() -> None:
    scene = Scene([UP], pre_open=True)
    market, limit = scene.place("BUY"), scene.place("BUY", "LIMIT", price=101.0)
    low = scene.place("BUY", "LIMIT", price=99.0)
    assert scene.bar() == "09:10:00"
    assert scene.fills() == [("09:10:00", "BUY", 100.0), ("09:10:00", "BUY", 100.0)]
    assert (market.status, limit.status, low.status) == ("COMPLETE", "COMPLETE", "OPEN")
    assert scene.venue.market.listings[KEY].last == 100.0
    assert scene.bar() == "09:15:00"
    assert scene.bar() == "09:15:20"
    assert low.average_price == 99.0


def test_the_pre_open_takes_neither_stops_nor_late_market_orders_and_nothing_between_match_and_open() -> None:
    scene = Scene([UP], pre_open=True)
    with pytest.raises(Refusal, match="not allowed in an auction"):
        scene.place("BUY", "SL-M", trigger_price=101.0)
    scene.bar("09:06:00")
    with pytest.raises(Refusal, match=r"^Market orders are currently not allowed\.$"):
        scene.place("BUY")
    scene.place("BUY", "LIMIT", price=99.0)
    scene.bar("09:12:00")
    with pytest.raises(Refusal, match="After Market Order"):
        scene.place("BUY", "LIMIT", price=99.0)


def test_without_the_setting_there_is_no_pre_open() -> None:
    with pytest.raises(Refusal, match="After Market Order"):
        Scene([UP]).place("BUY", "LIMIT", price=99.0)


# the closing auction


def closing(*extra: str, **more: Any) -> Scene:
    given = {
        "candles": {KEY: minutes("15:13", "15:14", *extra), OTHER: minutes("15:13", "15:29")},
        "start": DAY.replace(hour=15, minute=13), "end": DAY.replace(hour=16),
        "closing_auction": True, "auction_shares": [KEY],
    }  # fmt: skip
    return Scene(**{**given, **more})


def test_a_share_of_the_auction_stops_at_a_quarter_past_three_and_others_trade_on() -> None:
    scene = closing()
    stop = scene.place("SELL", "SL-M", trigger_price=90.0)
    limit = scene.place("BUY", "LIMIT", price=50.0)
    other = scene.place("BUY", "LIMIT", price=50.0, symbol="SBIN")
    scene.bar("15:16:00")
    while scene.now < "15:16:00":
        scene.bar("15:16:00")
    assert (stop.status, limit.status, other.status) == ("CANCELLED", "OPEN", "OPEN")
    with pytest.raises(Refusal, match="After Market Order"):
        scene.place("BUY")
    assert scene.place("BUY", symbol="SBIN").status == "OPEN"


def test_the_auction_takes_limit_and_market_orders_then_limits_only_and_matches_at_one_price() -> None:
    scene = closing()
    while scene.now < "15:21:00":
        scene.bar("15:21:00")
    bought = scene.place("BUY")
    high = scene.place("BUY", "LIMIT", price=103.5)
    low = scene.place("BUY", "LIMIT", price=99.0)
    with pytest.raises(Refusal, match="not allowed in an auction"):
        scene.place("BUY", "LIMIT", price=99.0, validity="IOC")
    while scene.now < "15:26:00":
        scene.bar("15:26:00")
    with pytest.raises(Refusal, match="Market orders are currently not allowed"):
        scene.place("BUY")
    late = scene.place("BUY", "LIMIT", price=101.0)
    while scene.now < "15:30:00":
        scene.bar()
    assert scene.fills() == [("15:30:00", "BUY", 100.5)] * 3  # the mean of the two last minutes, on tick
    assert [order.status for order in (bought, high, late, low)] == ["COMPLETE"] * 3 + ["CANCELLED"]
    assert scene.venue.market.listings[KEY].last == 100.5


def test_the_auctions_reference_is_weighted_by_what_was_traded_in_the_last_quarter_of_an_hour() -> None:
    heavy = [(("14:59",), 300.0, 999), (("15:00",), 100.0, 30), (("15:14",), 102.0, 10)]
    parts = [minutes(*at, price=price, volume=volume) for at, price, volume in heavy]
    scene = closing(candles={KEY: joined(parts), OTHER: minutes("15:13", "15:29")}, start=DAY.replace(hour=14))
    while scene.now < "15:22:00":
        scene.bar("15:22:00")
    with pytest.raises(Refusal, match=r"97\.48 to 103\.52: 3% about the reference price of 100\.5"):
        scene.place("BUY", "LIMIT", price=105.5)
    accepted = scene.place("BUY", "LIMIT", price=103.5)
    while scene.now < "15:30:00":
        scene.bar()
    # (100 x 30 + 102 x 10) / 40; unweighted it were 101, and with the candle before the window 261.05
    assert (scene.fills(), accepted.status) == ([("15:30:00", "BUY", 100.5)], "COMPLETE")


def test_the_auctions_limits_lie_within_three_per_cent_of_the_reference_price() -> None:
    scene = closing()
    resting = scene.place("BUY", "LIMIT", price=50.0)  # carried over from the continuous session: not asked again
    while scene.now < "15:22:00":
        scene.bar("15:22:00")
    said = "outside of the closing auction's range, 97.48 to 103.52: 3% about the reference price of 100.5"
    for side, price in (("BUY", 105.5), ("SELL", 103.55), ("BUY", 97.45)):
        with pytest.raises(Refusal, match=said):
            scene.place(side, "LIMIT", price=price)
    inside = scene.place("BUY", "LIMIT", price=103.5)
    change = scene.venue.modify
    with pytest.raises(Refusal, match=said):
        change("regular", inside.order_id, {"price": "103.55"})
    with pytest.raises(Refusal, match="not allowed in an auction"):
        change("regular", inside.order_id, {"validity": "IOC"})
    with pytest.raises(Refusal, match="not allowed in an auction"):
        scene.place("BUY", "SL", price=101.0, trigger_price=101.0)
    assert (inside.price, resting.status) == (103.5, "OPEN")
    while scene.now < "15:30:00":
        scene.bar()
    assert scene.fills() == [("15:30:00", "BUY", 100.5)]


def test_the_auction_follows_from_the_date_for_a_share_with_derivatives() -> None:
    named = {"auction_shares": None}
    scene = closing(**named)
    while scene.now < "15:22:00":
        scene.bar("15:22:00")
    with pytest.raises(Refusal, match=r"reference price of 100\.5"):
        scene.place("BUY", "LIMIT", price=105.5)
    before = datetime(2026, 7, 31)
    series = {KEY: minutes("15:13", "15:14", "15:29", day=before)}
    scene = Scene(candles=series, start=before.replace(hour=15, minute=22), closing_auction=True)
    assert scene.place("BUY", "LIMIT", price=105.5).status == "OPEN"


def test_the_auctions_recorded_print_is_its_price() -> None:
    scene = closing("15:29")
    while scene.now < "15:21:00":
        scene.bar("15:21:00")
    scene.place("BUY")
    while scene.now < "15:30:00":
        scene.bar()
    assert scene.fills() == [("15:30:00", "BUY", 102.0)]


def test_candles_that_trade_on_after_a_quarter_past_three_have_no_auction() -> None:
    scene = closing("15:20", "15:29")
    order = scene.place("BUY", "LIMIT", price=101.5)
    while scene.now < "15:16:00":
        scene.bar("15:16:00")
    assert scene.venue.market.phases.now(order.listing) is Phase.OPEN
    late = scene.place("BUY")
    scene.to_end()
    assert late.average_price == 102.0


def test_an_auction_print_after_the_close_prolongs_nobodys_session() -> None:
    scene = closing("15:31")
    other = scene.place("BUY", "LIMIT", price=50.0, symbol="SBIN")
    scene.to_end()
    assert other.status == "CANCELLED"
    assert other.latest()["order_timestamp"] == "2026-11-18 15:30:00"
    assert scene.venue.market.listings[KEY].last == 102.0


def test_by_default_every_candle_trades_to_the_close() -> None:
    scene = Scene(candles={KEY: candles([FLAT] * 15, start="15:15")})
    scene.bar()
    scene.place("BUY")
    scene.to_end()
    assert len(scene.fills()) == 1


# broken days


def broken(**more: Any) -> Scene:
    day = datetime(2024, 3, 2)
    return Scene(candles={KEY: minutes("09:15", "09:59", "11:30", "12:29", day=day)}, **more)


def test_between_the_windows_of_a_broken_day_nothing_is_taken_and_nothing_rests() -> None:
    scene = broken(split_sessions=True)
    scene.bar()
    resting = scene.place("BUY", "LIMIT", price=50.0)
    while scene.now < "10:30:00":
        scene.venue.move_to(scene.venue.now + 600_000_000)
    assert resting.status == "CANCELLED"
    assert resting.latest()["order_timestamp"] == "2024-03-02 10:00:00"
    with pytest.raises(Refusal, match="After Market Order"):
        scene.place("BUY")


def test_by_default_a_broken_day_is_one_session() -> None:
    scene = broken()
    scene.bar()
    resting = scene.place("BUY", "LIMIT", price=50.0)
    while scene.now < "10:30:00":
        scene.venue.move_to(scene.venue.now + 600_000_000)
    assert resting.status == "OPEN"
    scene.place("BUY")
    scene.to_end()
    assert scene.fills() == [("11:30:00", "BUY", 102.0)]


# halts


def test_a_halted_instrument_neither_prints_nor_trades_and_its_next_print_is_a_jump() -> None:
    scene = Scene([UP, (110.0, 112.0, 108.0, 111.0), (105.0, 107.0, 103.0, 106.0)]).opened()
    market = scene.venue.market
    listing = market.listings[KEY]
    scene.bar("09:15:30")
    market.phases.halt(KEY)
    assert market.phases.now(listing) is Phase.HALTED
    waiting = scene.place("BUY")
    sale = scene.place("SELL", "LIMIT", price=109.0)
    assert scene.bar() == "09:16:00"
    assert (listing.last, waiting.status) == (98.0, "OPEN")
    scene.bar("09:17:10")
    while scene.now < "09:17:10":
        scene.bar("09:17:10")
    assert listing.last == 98.0
    market.phases.resume(KEY)
    scene.bar()
    assert scene.fills() == [("09:17:20", "BUY", 103.0)]
    assert sale.status == "OPEN"
    scene.to_end()
    midnight = int(market.now // 86_400_000_000 * 86_400_000_000)
    shown = rows_of(listing, "minute", midnight, midnight + 86_399_000_000, False)
    assert [(row[0][11:16], *row[1:5]) for row in shown] == [
        ("09:15", 100.0, 100.0, 98.0, 98.0), ("09:17", 103.0, 107.0, 103.0, 106.0),
    ]  # fmt: skip


def test_a_halt_of_given_minutes_ends_by_itself_and_may_purge() -> None:
    scene = Scene([FLAT] * 5).opened()
    order = scene.place("BUY", "LIMIT", price=90.0)
    scene.venue.market.phases.halt("NSE", minutes=2, purge=True)
    assert order.status == "CANCELLED"
    late = scene.place("BUY")
    scene.to_end()
    assert scene.fills() == [("09:17:00", "BUY", 100.0)]
    assert late.status == "COMPLETE"


def test_orders_during_a_halt_are_refused_if_the_setting_says_so() -> None:
    scene = Scene([FLAT], halted_orders="reject").opened()
    scene.venue.market.phases.halt()
    with pytest.raises(Refusal, match="16387"):
        scene.place("BUY")
    scene.venue.market.phases.resume()
    scene.place("BUY")


def test_a_halt_of_what_is_not_listed_is_refused() -> None:
    with pytest.raises(BadSettings, match="NSE:TCS is not listed here"):
        Scene([FLAT]).venue.market.phases.halt("NSE:TCS")


@pytest.mark.parametrize(
    ("level", "at", "expected"),
    [
        (10, "12:59", 60), (10, "13:00", 30), (10, "14:29", 30), (10, "14:30", 0),
        (15, "12:59", 120), (15, "13:59", 60), (15, "14:00", None), (20, "09:30", None),
    ],
)  # fmt: skip
def test_the_breaker_by_level_and_hour(level: int, at: str, expected: int | None) -> None:
    assert breaker_minutes(level, hhmm(at)) == expected


def test_the_market_wide_breaker_halts_equity_and_purges() -> None:
    series = {KEY: candles([FLAT] * 70), "MCX:GOLD26DECFUT": candles([FLAT] * 70)}
    scene = Scene(candles=series)  # MCX opens at nine
    while scene.now < "09:15:00":
        scene.bar()
    resting = scene.place("BUY", "LIMIT", price=90.0)
    assert scene.venue.market.phases.break_circuit(10) == 60
    assert resting.status == "CANCELLED"
    gold = scene.venue.place("regular", form("BUY", exchange="MCX", symbol="GOLD26DECFUT", product="NRML"))
    infy = scene.place("BUY")
    scene.to_end()
    assert gold.latest()["exchange_timestamp"] == "2026-11-18 09:15:00"
    assert infy.latest()["exchange_timestamp"] == "2026-11-18 10:15:00"


def test_a_halt_for_the_rest_of_the_day_is_over_on_the_next() -> None:
    days = [DAY + timedelta(days=one, hours=9, minutes=15 + minute) for one in (0, 1) for minute in (0, 1)]
    price = [100.0] * 4
    series = CandleSeries(interval="minute", start=days, open=price, high=price, low=price, close=price)
    scene = Scene(candles={KEY: series}).opened()
    scene.venue.market.phases.break_circuit(20)
    lost = scene.place("BUY")
    while lost.status == "OPEN":
        scene.bar()
    assert lost.latest()["order_timestamp"] == "2026-11-18 15:30:00"
    scene.to_end()
    assert scene.venue.market.listings[KEY].printed == 8


# by control


@pytest.fixture
def steered() -> Any:
    with Exchange(settings([UP, (110.0, 112.0, 108.0, 111.0)] * 4)) as exchange:
        client = Client(exchange.port)
        yield client
        client.close()


def test_halts_breakers_and_gaps_are_a_control_call(steered: Client) -> None:
    assert steered.control("halt", target=KEY)["halted"] == [KEY]
    assert steered.control("halt", resume=KEY)["halted"] == []
    steered.control("clock", next="bar")
    steered.control("clock", until="2026-11-18T09:15:30+05:30")
    steered.control("halt", gap=KEY, percent=-10)
    steered.control("clock", until="2026-11-18T09:15:50+05:30")
    quote = steered.data("GET", "/quote", i=KEY)[KEY]
    assert quote["last_price"] == 94.2  # 104 less a tenth of 98
    assert steered.control("halt", target="NSE", minutes=1.5)["minutes"] == 1.5
    steered.control("clock", until="2026-11-18T09:17:10+05:30")
    assert steered.data("GET", "/quote", i=KEY)[KEY]["last_price"] == 94.2
    steered.control("clock", until="2026-11-18T09:17:30+05:30")
    assert steered.data("GET", "/quote", i=KEY)[KEY]["last_price"] == 88.2  # 98 less the same
    assert steered.control("halt", breaker=10) == {
        "now": "2026-11-18T09:17:30+05:30", "minutes": 60, "halted": [KEY],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"target": "NSE:NOBODY"}, "not listed here"),
        ({"breaker": 12}, "levels 10, 15, 20"),
        ({"gap": "NSE:NOBODY", "percent": 1}, "of a listed symbol"),
        ({"stop": True}, "a halt knows"),
    ],
)
def test_a_halt_that_cannot_be_is_refused_with_a_reason(steered: Client, body: dict[str, Any], message: str) -> None:
    status, _, text = steered.raw("POST", "/_exchange/halt", json.dumps(body).encode())
    assert status == 400
    assert message in json.loads(text)["message"]


def test_a_gap_lasts_and_history_shows_what_was_played() -> None:
    scene = Scene([UP, UP]).opened()
    resting = scene.place("BUY", "LIMIT", price=95.0)
    scene.bar("09:15:10")
    scene.venue.market.gap(scene.venue.market.listings[KEY], -5.0)
    scene.to_end()
    assert resting.average_price == 93.0  # the next print lies there; nothing between was traded
    now = scene.venue.now
    shown = rows_of(scene.venue.market.listings[KEY], "minute", now - 120_000_000, now, False)
    assert [row[1:5] for row in shown] == [[100.0, 100.0, 93.0, 97.0], [95.0, 99.0, 93.0, 97.0]]
