"""The broker closes intraday positions at its hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.clock import day_number, moment, stamp
from btkite.exchange.errors import Refusal
from btkite.exchange.squareoff import after_cutoff, moments

from .scene import DAY, KEY, Scene, candles, form
from .scene_days import joined, next_day

FLAT = (100.0, 100.0, 100.0, 100.0)


def late(minutes: int = 20, day: datetime = DAY, start: str = "15:10", **more: Any) -> Scene:
    """The end of a day's session, and the next morning."""
    bars = [(100.0 + at, 100.0 + at, 100.0 + at, 100.0 + at) for at in range(minutes)]
    series = joined([candles(bars, start=start, day=day), candles([FLAT] * 2, day=day + timedelta(days=1))])
    scene = Scene(candles={KEY: series}, **{"mis_squareoff": True, "charges": False, **more})
    scene.venue.move_to(scene.venue.market.session("NSE", scene.venue.now)[0])  # type: ignore[index]
    scene.bar(until=f"{start}:00")
    return scene


def to(scene: Scene, clock: str) -> None:
    """Play on to a time of the day."""
    scene.venue.move_to(stamp(datetime.fromisoformat(f"{DAY.date()}T{clock}")))


def orders(scene: Scene) -> list[tuple[str, str, str, int]]:
    return [
        (row["placed_by"], row["transaction_type"], row["status"], row["filled_quantity"])
        for row in (order.latest() for order in scene.venue.book.orders.values())
    ]


def test_what_is_open_is_closed_at_the_brokers_hour_by_orders_of_its_own() -> None:
    scene = late()
    scene.place("BUY")
    scene.place("BUY", product="CNC", quantity=3)
    scene.place("SELL", "LIMIT", price=200.0)
    to(scene, "15:24:59")
    assert [row["quantity"] for row in scene.venue.positions()["net"]] == [10, 3]
    to(scene, "15:26:00")
    net = {row["product"]: row["quantity"] for row in scene.venue.positions()["net"]}
    assert net == {"MIS": 0, "CNC": 3}
    assert orders(scene) == [
        ("SIM001", "BUY", "COMPLETE", 10), ("SIM001", "BUY", "COMPLETE", 3), ("SIM001", "SELL", "CANCELLED", 0),
        ("ADMINSQF", "SELL", "COMPLETE", 10),
    ]  # fmt: skip
    assert scene.fills()[-1] == ("15:25:00", "SELL", 115.0)


def test_it_is_off_in_lock_step_unless_it_is_asked_for_and_on_while_the_clock_runs() -> None:
    for lockstep, setting, closed in (
        (True, None, False),
        (False, None, True),
        (False, False, False),
        (True, True, True),
    ):
        scene = late(mis_squareoff=setting)
        scene.place("BUY")
        scene.venue.lockstep = lockstep
        scene.venue.move_to(scene.venue.market.session("NSE", scene.venue.now)[1])  # type: ignore[index]
        assert [row["quantity"] for row in scene.venue.positions()["net"]] == [0 if closed else 10]


def test_large_positions_are_cut_and_each_order_costs_a_fee() -> None:
    scene = late(charges=True, holdings={KEY: (1, 1.0)})
    scene.place("SELL", quantity=70_000)
    next_day(scene)
    account = scene.venue.account
    assert [entry.amount for entry in account.ledger.entries if entry.kind == "square_off"] == [-5900] * 3
    assert account.holdings[KEY].total == 1


def test_what_finds_no_price_is_delivered() -> None:
    scene = late(minutes=10)  # the last candle ends at 15:20
    scene.place("BUY")
    next_day(scene)
    assert scene.venue.positions()["net"] == []
    assert scene.venue.account.holdings[KEY].t1 == 10


def test_intraday_is_no_longer_to_be_had_by_conversion() -> None:
    scene = late()
    venue, listing = scene.venue, scene.venue.market.listings[KEY]
    scene.place("BUY", product="CNC")
    scene.bar()
    venue.account.convert(listing, "CNC", "MIS", True, 2, False, after_cutoff=after_cutoff(venue, listing))
    venue.account.convert(listing, "MIS", "CNC", True, 2, False, after_cutoff=after_cutoff(venue, listing))
    venue.move_to(venue.market.session("NSE", venue.now)[1])  # type: ignore[index]
    with pytest.raises(Refusal, match="cannot be converted to MIS"):
        venue.account.convert(listing, "CNC", "MIS", True, 2, False, after_cutoff=after_cutoff(venue, listing))


@pytest.mark.parametrize(
    ("day", "start", "wanted"),
    [
        (
            datetime(2024, 6, 12),
            "09:15",
            {"NSE:INFY": "15:20", "NFO:INFY26NOVFUT": "15:25", "MCX:GOLD26DECFUT": "23:05"},
        ),
        (datetime(2026, 11, 18), "09:15", {"NSE:INFY": "15:12", "NSE:TINY": "15:25", "NFO:INFY26NOVFUT": "15:25"}),
        (datetime(2024, 11, 1), "18:00", {"NSE:INFY": "18:50", "NSE:TINY": "18:50"}),  # an hour of muhurat
    ],
)
def test_the_hour_depends_on_date_and_segment(day: datetime, start: str, wanted: dict[str, str]) -> None:
    rows = [
        InstrumentRow(exchange="NSE", tradingsymbol="TINY"),
        InstrumentRow(exchange="NFO", tradingsymbol="INFY26NOVFUT", name="INFY", instrument_type="FUT"),
        InstrumentRow(exchange="MCX", tradingsymbol="GOLD26DECFUT", name="GOLD", instrument_type="FUT"),
    ]
    scene = Scene(candles={KEY: candles([FLAT], start, day)}, instruments=rows)
    found = {
        listing.key: f"{moment(us):%H:%M}"
        for us, listings in moments(scene.venue, day_number(day.date())).items()
        for listing in listings
    }
    assert {key: found.get(key) for key in wanted} == wanted


def test_futures_are_squared_off_too() -> None:
    row = InstrumentRow(exchange="NFO", tradingsymbol="NIFTY26NOVFUT", name="NIFTY", instrument_type="FUT", lot_size=65)
    series = candles([(26000.0,) * 4] * 20, start="15:15")
    scene = Scene(candles={row.key: series}, instruments=[row], mis_squareoff=True)
    scene.bar(), scene.bar()
    scene.place("SELL", symbol="NIFTY26NOVFUT", exchange="NFO", quantity=65)
    scene.venue.place("regular", form("SELL", symbol="NIFTY26NOVFUT", exchange="NFO", quantity=65, product="NRML"))
    scene.to_end()
    net = {row["product"]: row["quantity"] for row in scene.venue.positions()["net"]}
    assert net == {"MIS": 0, "NRML": -65}
    assert scene.fills()[-1][:2] == ("15:25:00", "BUY")
