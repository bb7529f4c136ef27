from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.clock import to_epoch
from btkite.kite import frames
from btkite.kite.columns import TickColumns
from btkite.kite.frames import Decoder, Notice, decode, decode_columns, decode_text, moment, order_update
from btkite.values import Level, OrderUpdate, Source, Tick
from tests.kite.encoded import be, frame, packet, scale

u31 = st.integers(0, 2**31 - 1)


@st.composite
def ticks(draw: st.DrawFn, mode: str | None = None, segment: int | None = None) -> Tick:
    if segment is None:
        segment = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 9, 12]))
    token = draw(st.integers(0, 2**23 - 1)) * 256 + segment
    mode = mode or draw(st.sampled_from(["ltp", "quote", "full"]))

    def price() -> float:
        return draw(u31) / scale(token)

    tick = Tick(token, mode, price())
    if mode == "ltp":
        return tick
    tick = tick._replace(open=price(), high=price(), low=price(), close=price())
    if segment == 9:
        return tick._replace(exchange_time=draw(u31)) if mode == "full" else tick
    tick = tick._replace(
        last_quantity=draw(u31),
        average_price=price(),
        volume=draw(u31),
        buy_quantity=draw(u31),
        sell_quantity=draw(u31),
    )
    if mode == "quote":
        return tick
    levels = tuple(Level(price(), draw(u31), draw(st.integers(0, 65535))) for _ in range(10))
    return tick._replace(
        last_trade_time=draw(u31), oi=draw(u31), exchange_time=draw(u31), bids=levels[:5], asks=levels[5:]
    )


# -- binary ----------------------------------------------------------------------------------------


@given(st.lists(ticks(), max_size=12))
def test_what_is_encoded_is_decoded(sent: list[Tick]) -> None:
    decoder = Decoder()
    wire = frame([packet(tick) for tick in sent])
    assert decoder.decode(wire) == sent
    assert decoder.decode_columns(wire).ticks() == sent
    assert list(decoder.read(wire)) == sent
    assert (decoder.damaged, decoder.unknown) == (0, 0)


@given(ticks(mode="full", segment=1), ticks(mode="quote", segment=3), ticks(mode="quote", segment=9))
def test_a_large_frame_of_one_size_decodes_as_its_packets_do(full: Tick, quote: Tick, index: Tick) -> None:
    for tick in (full, quote, index):
        sent = [tick._replace(instrument_token=tick.instrument_token ^ (number << 8)) for number in range(200)]
        assert decode(frame([packet(one) for one in sent])) == sent


@given(st.binary(max_size=600))
def test_random_bytes_never_raise(payload: bytes) -> None:
    decoder = Decoder()
    found = decoder.decode(payload)
    assert decoder.decode_columns(payload).ticks() == found
    assert list(decoder.read(payload)) == found


@given(st.lists(ticks(), min_size=1, max_size=6), st.data())
def test_a_cut_frame_gives_its_whole_packets_and_is_counted(sent: list[Tick], draw: st.DataObject) -> None:
    wire = frame([packet(tick) for tick in sent])
    cut = draw.draw(st.integers(4, len(wire) - 1))
    decoder = Decoder()
    found = decoder.decode(wire[:cut])
    assert found == sent[: len(found)]
    assert len(found) < len(sent)
    assert decoder.damaged == 1


def test_a_packet_of_unknown_length_is_passed_over_and_counted() -> None:
    tick = Tick(408065, "ltp", 1573.7)
    decoder = Decoder()
    assert decoder.decode(frame([b"x" * 20, packet(tick), b"x" * 200])) == [tick]
    assert (decoder.unknown, decoder.damaged) == (2, 0)


def test_a_frame_that_says_more_or_less_than_it_holds_is_counted() -> None:
    one = packet(Tick(408065, "ltp", 1.0))
    length = len(one).to_bytes(2, "big")
    decoder = Decoder()
    assert len(decoder.decode(b"\x00\x05" + length + one)) == 1
    assert len(decoder.decode(b"\x00\x01" + length + one + length + one)) == 1
    assert decoder.damaged == 2


@pytest.mark.parametrize("beat", [b"", b"\x00", b"\xff", b"\x00\x00"])
def test_a_heartbeat_is_no_tick_and_no_damage(beat: bytes) -> None:
    decoder = Decoder()
    assert decoder.decode(beat) == []
    assert len(decoder.decode_columns(beat)) == 0
    assert decoder.damaged == 0


def test_an_index_is_read_high_low_open_close() -> None:
    wire = frame([be(256265, 2_600_000, 2_610_000, 2_590_000, 2_595_000, 2_588_000, 12_000, 1_763_871_300)])
    (tick,) = decode(wire)
    assert tick == Tick(
        256265, "full", 26000.0, exchange_time=1_763_871_300, open=25950.0, high=26100.0, low=25900.0, close=25880.0
    )


@pytest.mark.parametrize(
    ("segment", "price"), [(1, 123456.7), (3, 1.234567), (6, 1234.567), (9, 123456.7), (12, 1234.567)]
)
def test_the_divisor_is_the_segments(segment: int, price: float) -> None:
    assert decode(frame([be(256 + segment, 12_345_670)]))[0].last_price == price


def test_columns_of_a_frame_without_depth_lay_out_no_levels() -> None:
    columns = decode_columns(frame([packet(Tick(408065, "ltp", 1.5))] * 3))
    assert isinstance(columns, TickColumns)
    assert columns.depth_price.shape == (3, 0)
    assert columns.last_price.tolist() == [1.5] * 3


# -- against kiteconnect and the official samples --------------------------------------------------


def as_kiteconnect(tick: Tick) -> dict[str, Any]:
    """Our tick in the words of KiteTicker, times as epoch seconds."""
    record: dict[str, Any] = {
        "tradable": tick.instrument_token & 0xFF != 9,
        "mode": tick.mode,
        "instrument_token": tick.instrument_token,
        "last_price": tick.last_price,
    }
    if tick.mode == "ltp":
        return record
    record["ohlc"] = {"open": tick.open, "high": tick.high, "low": tick.low, "close": tick.close}
    if not record["tradable"]:
        return record | ({"exchange_timestamp": tick.exchange_time} if tick.mode == "full" else {})
    record |= {
        "last_traded_quantity": tick.last_quantity,
        "average_traded_price": tick.average_price,
        "volume_traded": tick.volume,
        "total_buy_quantity": tick.buy_quantity,
        "total_sell_quantity": tick.sell_quantity,
    }
    if tick.mode == "full":
        record |= {
            "last_trade_time": tick.last_trade_time,
            "oi": tick.oi,
            "exchange_timestamp": tick.exchange_time,
            "depth": {
                "buy": [level._asdict() for level in tick.bids],
                "sell": [level._asdict() for level in tick.asks],
            },
        }
    return record


@pytest.fixture(scope="module")
def kiteticker() -> Callable[[bytes], list[dict[str, Any]]]:
    """KiteTicker's own parser, its host-local datetimes undone."""
    from kiteconnect import KiteTicker

    def parse(wire: bytes) -> list[dict[str, Any]]:
        records = KiteTicker._parse_binary(KiteTicker.__new__(KiteTicker), wire)
        for record in records:
            for key in ("change", "oi_day_high", "oi_day_low"):
                record.pop(key, None)
            for key in ("exchange_timestamp", "last_trade_time"):
                if isinstance(record.get(key), datetime):
                    record[key] = int(record[key].timestamp())
        return records

    return parse


@given(st.lists(ticks(), min_size=1, max_size=6))
def test_every_tick_equals_that_of_kiteticker(
    kiteticker: Callable[[bytes], list[dict[str, Any]]], sent: list[Tick]
) -> None:
    # Seconds that a host with daylight saving counts twice cannot be undone: keep to one winter.
    sent = [tick._replace(exchange_time=1_763_871_300, last_trade_time=1_763_871_299) for tick in sent]
    wire = frame([packet(tick) for tick in sent])
    assert [as_kiteconnect(tick) for tick in decode(wire)] == kiteticker(wire)


def official(folder: Path) -> dict[str, bytes]:
    """The sample packets of Zerodha's repositories as frames."""
    found = {}
    for path in sorted((folder / "ticks" / "official_packets").glob("*")):
        if path.suffix not in (".packet", ".bin"):
            continue
        raw = path.read_bytes()
        if path.name.startswith("kiteconnect-mocks"):
            raw = frame([base64.b64decode(raw)])
        found[path.name] = raw
    return found


def test_the_official_packets_decode_as_kiteticker_decodes_them(
    shared: Path, kiteticker: Callable[[bytes], list[dict[str, Any]]]
) -> None:
    samples = official(shared)
    assert len(samples) >= 5
    for name, wire in samples.items():
        decoder = Decoder()
        found = decoder.decode(wire)
        assert found, name
        assert [as_kiteconnect(tick) for tick in found] == kiteticker(wire), name
        assert decoder.decode_columns(wire).ticks() == found, name
        assert decoder.unknown == 0, name


@pytest.mark.parametrize("mode", ["full", "quote"])
def test_the_official_packets_decode_to_the_values_published_with_them(shared: Path, mode: str) -> None:
    raw = base64.b64decode((shared / "kite_mocks" / f"ticker_{mode}.packet").read_bytes())
    want = json.loads((shared / "kite_mocks" / f"ticker_{mode}.json").read_text())
    (tick,) = decode(frame([raw]))
    assert (tick.instrument_token, tick.mode) == (want["instrument_token"], mode)
    assert (tick.last_price, tick.volume) == (want["last_price"], want["volume"])
    assert (tick.last_quantity, tick.average_price) == (want["last_quantity"], want["average_price"])
    assert (tick.buy_quantity, tick.sell_quantity) == (want["buy_quantity"], want["sell_quantity"])
    assert {name: getattr(tick, name) for name in want["ohlc"]} == want["ohlc"]
    if mode == "full":
        assert [level._asdict() for level in tick.bids] == want["depth"]["buy"]
        assert [level._asdict() for level in tick.asks] == want["depth"]["sell"]
        assert tick.last_trade_time == datetime.fromisoformat(want["last_trade_time"]).timestamp()


# -- text ------------------------------------------------------------------------------------------


ROW = {
    "order_id": "260903171147099",
    "status": "UPDATE",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "order_type": "LIMIT",
    "quantity": 10,
    "filled_quantity": 4,
    "average_price": 1500.05,
    "tag": "sma1",
    "order_timestamp": "2026-09-03 09:24:25",
    "exchange_timestamp": "2026-09-03 09:24:25",
    "exchange_update_timestamp": "2026-09-03 09:24:27",
    "status_message": None,
}


def test_an_order_message_becomes_an_update() -> None:
    update = decode_text(json.dumps({"type": "order", "data": ROW}))
    assert isinstance(update, OrderUpdate)
    assert (update.order_id, update.status, update.tag) == ("260903171147099", "UPDATE", "sma1")
    assert (update.quantity, update.filled_quantity, update.average_price) == (10, 4, 1500.05)
    assert update.exchange_time == datetime(2026, 9, 3, 9, 24, 27)
    assert update.order_time == datetime(2026, 9, 3, 9, 24, 25)
    assert (update.source, update.status_message) == (Source.STREAM, "")
    assert update.raw["exchange"] == "NSE"


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ('{"type":"error","data":"bad token"}', "error", "bad token"),
        ('{"type":"message","data":"markets are closed"}', "message", "markets are closed"),
        ('{"type":"instruments_meta","data":{"count":92079}}', "instruments_meta", '{"count": 92079}'),
        ("not json", "damaged", "8 characters that are no JSON"),
        ("[1]", "damaged", "JSON, but no object"),
        ('{"type":"order","data":{}}', "damaged", "an order message without order_id"),
        ('{"type":"order"}', "damaged", "an order message without order_id"),
        ("{}", "damaged", "null"),
    ],
)
def test_other_text_is_a_notice(text: str, kind: str, said: str) -> None:
    assert decode_text(text) == Notice(kind, said)


@given(st.one_of(st.text(), st.binary()))
def test_random_text_never_raises(payload: str | bytes) -> None:
    assert isinstance(decode_text(payload), Notice | OrderUpdate)


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=25), st.datetimes()),
    lambda inner: st.lists(inner, max_size=2),
)


@given(st.dictionaries(st.sampled_from([*ROW, "price", "unfilled_quantity", "meta", "guid"]), anything))
def test_a_row_of_any_values_never_raises(row: dict[str, Any]) -> None:
    update = order_update(row, Source.POSTBACK)
    assert type(update.quantity) is int
    assert type(update.price) is float
    assert update.exchange_time is None or update.exchange_time.tzinfo is None


def test_a_postback_is_read_with_its_own_words(shared: Path) -> None:
    body = (shared / "kite_mocks" / "postback.json").read_text()
    update = decode_text(body, Source.POSTBACK)
    assert isinstance(update, OrderUpdate)
    assert (update.order_id, update.status, update.source) == ("220303000308932", "COMPLETE", Source.POSTBACK)
    assert update.terminal
    assert update.exchange_time == datetime(2022, 3, 3, 9, 24, 25)


def test_every_mock_order_is_read_as_it_is_written(shared: Path) -> None:
    rows = json.loads((shared / "kite_mocks" / "orders.json").read_text())["data"]
    assert rows
    for row in rows:
        update = order_update(row, Source.POLL)
        for name in ("order_id", "status", "quantity", "filled_quantity", "average_price", "price", "variety"):
            assert getattr(update, name) == row[name]
        assert update.order_time == datetime.fromisoformat(row["order_timestamp"])


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("2026-09-03 09:24:25", datetime(2026, 9, 3, 9, 24, 25)),
        ("2026-09-03T09:24:25+05:30", datetime(2026, 9, 3, 9, 24, 25)),
        ("2026-09-03T03:54:25+00:00", datetime(2026, 9, 3, 9, 24, 25)),
        (datetime(2026, 9, 3, 9, 24, 25), datetime(2026, 9, 3, 9, 24, 25)),
        ("09:16:39", None),
        ("", None),
        (None, None),
        ("2026-99-99 09:24:25", None),
    ],
)
def test_kites_timestamps_become_naive_ist(value: Any, want: datetime | None) -> None:
    assert moment(value) == want


def test_the_encoder_of_this_test_is_not_ours() -> None:
    assert to_epoch(datetime(2026, 11, 23, 9, 45)) == 1_795_407_300
    assert frame([be(408065, 157370)]) == struct.pack(">HHII", 1, 8, 408065, 157370)
    assert not hasattr(frames, "encode")
