"""Frames, byte by byte."""

from __future__ import annotations

import base64
import json
import os
import struct
from pathlib import Path

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.clock import parse_iso
from btkite.exchange.instruments import describe
from btkite.exchange.listing import Listing
from btkite.exchange.packets import frame, packet

AT = parse_iso("2026-11-18T09:15:20+05:30")

SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def listing(exchange: str = "NSE", symbol: str = "INFY", token: int = 408065, **more: object) -> Listing:
    row = InstrumentRow(exchange=exchange, tradingsymbol=symbol, instrument_token=token, segment=exchange, **more)  # type: ignore[arg-type]
    return Listing(row, None, 0)


def traded(one: Listing) -> Listing:
    one.previous_close = 1500.0
    one.take_print(AT - 20_000_000, 1500.5, 60, 60, 1000)
    one.take_print(AT, 1510.25, 100, 40, 900)
    return one


def test_an_ltp_packet_has_eight_bytes() -> None:
    assert packet(traded(listing()), "ltp") == struct.pack(">II", 408065, 151025)


def test_a_quote_packet_has_44_bytes() -> None:
    built = packet(traded(listing()), "quote")
    average = round((1500.5 * 60 + 1510.25 * 40) / 100 * 100)
    unlimited = 10_000_000
    expected = (408065, 151025, 40, average, 100, unlimited, unlimited, 150050, 151025, 150050, 150000)
    assert built == struct.pack(">11I", *expected)
    assert len(built) == 44


def test_a_full_packet_has_184_bytes_with_depth_in_five_levels_a_side() -> None:
    built = packet(traded(listing()), "full")
    assert len(built) == 184
    epoch = 1_763_437_520 + 31_536_000  # 2026-11-18 03:45:20 UTC
    assert struct.unpack(">5I", built[44:64]) == (epoch, 900, 1000, 900, epoch)
    level = struct.Struct(">IIHxx")
    bids = [level.unpack_from(built, 64 + 12 * i) for i in range(5)]
    asks = [level.unpack_from(built, 124 + 12 * i) for i in range(5)]
    assert bids == asks == [(10_000_000, 151025, 1)] + [(0, 0, 0)] * 4


def test_an_index_has_28_and_32_bytes_in_the_order_high_low_open_close() -> None:
    row = InstrumentRow(exchange="NSE", tradingsymbol="NIFTY 50", instrument_token=256265, segment="INDICES")
    one = traded(Listing(row, None, 0))
    figures = (256265, 151025, 151025, 150050, 150050, 150000, 1025)
    assert packet(one, "quote") == struct.pack(">6Ii", *figures)
    assert packet(one, "full")[:28] == struct.pack(">6Ii", *figures)
    assert len(packet(one, "full")) == 32
    assert len(packet(one, "ltp")) == 8


@pytest.mark.parametrize(
    ("exchange", "segment", "divisor"),
    [("CDS", 3, 10_000_000), ("BCD", 6, 10_000), ("MCX", 7, 100), ("NCO", 12, 10_000)],
)
def test_the_segment_scales_the_price(exchange: str, segment: int, divisor: int) -> None:
    one = listing(exchange, "USDINR26NOVFUT", 1024 << 8 | segment)
    one.take_print(AT, 84.25, 1, 1, 0)
    assert struct.unpack(">I", packet(one, "ltp")[4:]) == (round(84.25 * divisor),)


def test_a_frame_counts_its_packets_and_gives_each_its_length() -> None:
    assert frame([b"12345678", b"1"]) == b"\x00\x02\x00\x0812345678\x00\x011"


def test_before_the_first_trade_of_the_day_the_packet_is_yesterdays_price_with_its_old_time() -> None:
    one = traded(listing())
    one.start_day(one.last)
    last, volume = struct.unpack(">I8xI", packet(one, "quote")[4:20])
    assert (last, volume) == (151025, 0)
    assert struct.unpack(">I", packet(one, "full")[60:64])[0] == 1_763_437_520 + 31_536_000


def test_our_packets_equal_kites_own_samples_byte_for_byte() -> None:
    folder = SHARED / "data" / "kite_mocks"
    if not folder.is_dir():
        pytest.skip("Kite's sample packets are not beside the repository (BTKITE_SHARED)")
    for name, mode, head in (("ticker_quote", "quote", 44), ("ticker_full", "full", 44)):
        said = json.loads((folder / f"{name}.json").read_text())
        sample = base64.b64decode((folder / f"{name}.packet").read_text())
        one = listing()
        ohlc = said["ohlc"]
        one.open, one.high, one.low, one.previous_close = ohlc["open"], ohlc["high"], ohlc["low"], ohlc["close"]
        one.last = one.path = said["last_price"]
        one.volume, one.last_quantity = said["volume"], said["last_quantity"]
        one.traded_value = said["average_price"] * one.volume
        built = packet(one, mode)
        ours, theirs = bytearray(built[:head]), bytearray(sample[:head])
        ours[20:28] = theirs[20:28]  # displayed quantities: unlimited here
        assert len(built) == len(sample)
        assert bytes(ours) == bytes(theirs)


def test_symbols_describe_themselves() -> None:
    assert describe("NFO:NIFTY26NOVFUT").instrument_type == "FUT"
    call = describe("NFO:BANKNIFTY26NOV58000CE")
    assert (call.name, call.strike, call.lot_size, str(call.expiry)) == ("BANKNIFTY", 58000.0, 30, "2026-11-23")
