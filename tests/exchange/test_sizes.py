"""What a price, a lot, a band may be: what does not fit is refused where it enters, in one sentence."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from btkite.exchange import BadSettings, InstrumentRow
from btkite.exchange.errors import Refusal, TooLarge
from btkite.exchange.listing import Listing
from btkite.exchange.packets import packet
from btkite.exchange.script import read
from btkite.exchange.settings import STRICT

from .scene import DAY, KEY, Scene, candles

DOLLAR = "CDS:USDINR26NOVFUT"
CALL = "NFO:NIFTY26NOV26000CE"
FLAT = (100.0, 100.0, 100.0, 100.0)
TEN = datetime(2026, 11, 18, 10, 0)


def made(*keys: str, **more: Any) -> Scene:
    """A generated morning at ten."""
    return Scene(seed=7, symbols=keys, **{"generate_from": DAY.date(), "generate_sessions": 1, "start": TEN, **more})


@pytest.mark.parametrize(
    ("key", "about"),
    [
        (DOLLAR, 88), ("CDS:JPYINR26NOVFUT", 57), ("BCD:GBPINR26NOVFUT", 113), ("MCX:CRUDEOIL26NOVFUT", 6000),
        ("MCX:GOLDM26DECFUT", 1_20_000), ("MCX:LEADMINI26NOVFUT", 180), ("NFO:INFY26NOVFUT", 1500), (KEY, 1500),
    ],
)  # fmt: skip
def test_made_up_prices_are_of_the_size_of_real_ones(key: str, about: float) -> None:
    listing = made(key).venue.market.listings[key]
    assert listing.last == pytest.approx(about, rel=0.05)
    for mode in ("ltp", "quote", "full"):
        assert packet(listing, mode)


def test_a_currencys_option_follows_its_future() -> None:
    listings = made(DOLLAR, "CDS:USDINR26NOV87CE").venue.market.listings
    assert listings["CDS:USDINR26NOV87CE"].last == pytest.approx(listings[DOLLAR].last - 87, abs=0.5)


def test_a_generated_day_has_a_previous_close_and_is_the_same_day_without_one() -> None:
    from btkite.exchange.generator import generate

    listing = made(KEY).venue.market.listings[KEY]
    assert listing.previous_close == 1500.0
    assert listing.tape is not None
    played = listing.tape.series.close[375:]
    assert played.tolist() == generate(KEY, DAY.date(), 1, seed=7).close.tolist()
    assert Scene(seed=7, symbols=(KEY,), generate_from=DAY.date()).now == "09:00:00"


def test_a_price_that_no_packet_carries_is_refused_where_it_enters() -> None:
    too_high = candles([(430.0, 430.0, 430.0, 430.0)])
    with pytest.raises(BadSettings, match=r"recorded price of CDS:USDINR26NOVFUT is ₹430.00, .* end at ₹429.50"):
        Scene(candles={DOLLAR: too_high})
    scene = Scene(candles={DOLLAR: candles([(88.0, 88.0, 88.0, 88.0)])}, start=TEN.replace(hour=9))
    venue = scene.venue
    for body in ({"last_price": 430.0}, {"depth": {"buy": [[430.0, 5]], "sell": []}}):
        with pytest.raises(BadSettings, match=r"packets end at ₹429.50 on CDS"):
            read(venue, {"exchange": "CDS", "tradingsymbol": "USDINR26NOVFUT", **body})
    with pytest.raises(BadSettings, match="more than Kite's packets hold"):
        read(venue, {"exchange": "CDS", "tradingsymbol": "USDINR26NOVFUT", "last_price": 88.0, "volume": 5e9})
    with pytest.raises(BadSettings, match="after this gap"):
        venue.market.gap(venue.market.listings[DOLLAR], 400.0)
    with pytest.raises(Refusal, match="Invalid `price`"):
        scene.place("SELL", "LIMIT", "USDINR26NOVFUT", exchange="CDS", product="NRML", quantity=1, price=5000)


def test_a_packet_never_shows_another_price() -> None:
    row = InstrumentRow(exchange="CDS", tradingsymbol="X", instrument_token=1024 << 8 | 3, segment="CDS")
    one = Listing(row, None, 0)
    one.take_print(1, 1754.0, 1, 1, 0)
    for mode in ("ltp", "quote", "full"):
        with pytest.raises(TooLarge, match="cannot carry its last price, 1754"):
            packet(one, mode)


def test_a_count_above_the_field_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    row = InstrumentRow(exchange="NSE", tradingsymbol="MANY", instrument_token=4242 << 8 | 1, segment="NSE")
    one = Listing(row, None, 0)
    one.take_print(1, 100.0, 1 << 33, 1, 0)
    assert packet(one, "quote")[16:20] == b"\xff\xff\xff\xff"
    assert "NSE:MANY: a quantity is above what Kite's packets hold" in caplog.text


# circuits


def test_an_option_may_move_far_and_a_limit_far_from_it_is_a_matter_of_the_exchanges_range() -> None:
    scene = made(CALL, **STRICT)
    lower, upper = scene.venue.market.listings[CALL].circuit()
    assert (lower, upper) == (0.05, 26000.0)
    last = scene.venue.market.listings[CALL].last
    price = round(last * 1.2 / 0.05) * 0.05  # beyond ten per cent
    order = scene.place("BUY", "LIMIT", CALL[4:], exchange="NFO", product="NRML", quantity=65, price=round(price, 2))
    assert order.status_message is None or "circuit" not in order.status_message
    assert order.status != "REJECTED"


def test_without_a_band_nothing_is_beyond_it() -> None:
    scene = Scene([FLAT] * 3, price_band=None, check_circuit=True, check_trigger_side=True).opened()
    assert scene.place("BUY", "LIMIT", price=900).status == "OPEN"
    assert scene.place("BUY", "SL", price=900, trigger_price=800).status == "TRIGGER PENDING"


def test_before_there_is_a_reference_no_limit_holds_and_the_first_open_fixes_it_for_the_day() -> None:
    scene = Scene([FLAT, (100.0, 109.0, 100.0, 109.0), (109.0, 109.0, 109.0, 109.0)], check_circuit=True)
    listing = scene.venue.market.listings[KEY]
    assert listing.circuit() == (0.0, 0.0)
    scene.opened()
    scene.bar()
    assert listing.circuit() == (90.0, 110.0)
    scene.bar()
    assert listing.last == 109.0
    assert listing.circuit() == (90.0, 110.0)


# lots and multipliers


@pytest.mark.parametrize(
    ("key", "lot", "multiplier", "tick"),
    [
        ("NFO:INFY26NOVFUT", 400, 1.0, 0.05), ("NFO:RELIANCE26NOV1500CE", 500, 1.0, 0.05),
        ("MCX:CRUDEOIL26NOVFUT", 1, 100.0, 1.0), ("MCX:NATURALGAS26NOVFUT", 1, 1250.0, 0.1),
        ("MCX:GOLDM26DECFUT", 1, 10.0, 1.0), ("MCX:SILVER26DECFUT", 1, 30.0, 1.0),
        ("MCX:LEADMINI26NOVFUT", 1, 1000.0, 0.05), (DOLLAR, 1, 1000.0, 0.0025),
    ],
)  # fmt: skip
def test_lots_multipliers_and_ticks_of_contracts(key: str, lot: int, multiplier: float, tick: float) -> None:
    row = made(key).venue.market.listings[key].row
    assert (row.lot_size, row.multiplier, row.tick_size) == (lot, multiplier, tick)


def test_a_lot_of_crude_earns_a_hundred_rupees_for_a_rupee() -> None:
    key = "MCX:CRUDEOIL26DECFUT"
    bars = [(6000.0, 6000.0, 6000.0, 6000.0)] * 2 + [(6010.0, 6010.0, 6010.0, 6010.0)] * 2
    scene = Scene(candles={key: candles(bars)}, charges=False, start=TEN.replace(hour=9))
    scene.bar()
    scene.place("BUY", "MARKET", key[4:], exchange="MCX", product="NRML", quantity=1)
    scene.to_end()
    (row,) = scene.venue.positions()["net"]
    assert (row["quantity"], row["multiplier"], row["pnl"]) == (1, 100.0, 1000.0)


def test_a_lot_that_is_not_known_has_to_be_given() -> None:
    earlier = {"generate_from": date(2025, 6, 12), "start": None}
    with pytest.raises(BadSettings, match=r'lot of 2025-06-12 of INFY is not known .*lot_sizes=\{"INFY": 500\}'):
        made("NFO:INFY25JUNFUT", **earlier)
    rows = made("NFO:INFY25JUNFUT", "NFO:INFY25JUN1500CE", lot_sizes={"INFY": 400}, **earlier).venue.rows
    assert {row.lot_size for row in rows} == {400}
    with pytest.raises(BadSettings, match="multiplier of FOO is not known"):
        made("MCX:FOO26NOVFUT")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"lot_sizes": {"NFO:NIFY26NOVFUT": 65}}, "lot_sizes: .*did you mean 'NFO:NIFTY26NOVFUT'"),
        ({"tick_sizes": {"NSE:INFI": 0.1}}, "tick_sizes: 'NSE:INFI' is not listed here; did you mean 'NSE:INFY'"),
        ({"price_bands": {"INFY": 5.0}}, "price_bands: 'INFY' .*did you mean 'NSE:INFY'"),
        ({"securities": {"NSE:INFYY": "share"}}, "securities: .*did you mean 'NSE:INFY'"),
        ({"auction_shares": ["NSE:INFFY"]}, "auction_shares: .*did you mean 'NSE:INFY'"),
        ({"settlement_prices": {"NIFY": 26000.0}}, "settlement_prices: 'NIFY' .*did you mean 'NIFTY'"),
        ({"holdings": {"NSE:INFYY": (1, 2.0)}}, "holdings: 'NSE:INFYY' .*did you mean 'NSE:INFY'"),
    ],
)
def test_a_setting_of_what_is_not_listed_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        made(KEY, "NFO:NIFTY26NOVFUT", **more)


def test_a_holding_of_another_share_needs_no_prices() -> None:
    assert "NSE:TCS" in made(KEY, holdings={"NSE:TCS": (3, 3000.0)}).venue.account.holdings


# a market that breaks
