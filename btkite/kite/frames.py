"""What comes over the stream, decoded: binary frames to ticks, text to order updates. Never raises.

A frame is a big-endian count of packets, each led by its length (:mod:`.layout`). A frame that is cut or malformed
gives what can be read of it, and is counted.

Small frames are read packet by packet with ``struct``; large ones as numpy columns (:mod:`.columns`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..clock import to_ist
from ..values import Level, OrderUpdate, Source, Tick
from .layout import DIVISOR, DIVISORS, FULL, INDEX_FULL, INDEX_QUOTE, LTP, MODES, QUOTE

if TYPE_CHECKING:
    from .columns import TickColumns

MANY = 24
"""From so many packets on, columns are dealt with sooner than ticks (measured)."""
_COLUMNS_FROM = 128  # packets of one length from which numpy makes the same ticks sooner (measured)

_count = struct.Struct(">H").unpack_from
_two = struct.Struct(">2I").unpack_from
_six = struct.Struct(">6I").unpack_from
_eleven = struct.Struct(">11I").unpack_from
_full = struct.Struct(">16I" + "IIHxx" * 10).unpack_from


# A NamedTuple's own __new__ is a Python function; tuple's makes the same object in half the time.
_level: Callable[[type[Level], tuple[Any, ...]], Level] = tuple.__new__
_LEVELS = (Level,) * 10
_make: Callable[[type[Tick], tuple[Any, ...]], Tick] = tuple.__new__


def _divisor(token: int) -> float:
    return DIVISORS.get(token & 0xFF, DIVISOR)


def _ltp(frame: bytes, at: int) -> Tick:
    token, last = _two(frame, at)
    return Tick(token, "ltp", last / _divisor(token))


def _index(frame: bytes, at: int, length: int) -> Tick:
    token, last, high, low, open_, close = _six(frame, at)
    by = _divisor(token)
    time = 0
    mode = "quote"
    if length == INDEX_FULL:
        mode = "full"
        time = _two(frame, at + 24)[1]
    return Tick(
        token, mode, last / by, 0, time, 0, 0, 0.0, 0, 0, open_ / by, high / by, low / by, close / by
    )  # fmt: skip


def _quote(frame: bytes, at: int) -> Tick:
    token, last, quantity, average, volume, buys, sells, open_, high, low, close = _eleven(frame, at)
    by = _divisor(token)
    return _make(Tick, (
        token, "quote", last / by, volume, 0, 0, quantity, average / by, buys, sells,
        open_ / by, high / by, low / by, close / by, 0, (), (),
    ))  # fmt: skip


def _deep(frame: bytes, at: int) -> Tick:
    values = _full(frame, at)
    token, last, quantity, average, volume, buys, sells, open_, high, low, close, traded, oi, _, _, time = values[:16]
    by = _divisor(token)
    prices = [price / by for price in values[17::3]]
    levels = tuple(map(_level, _LEVELS, zip(prices, values[16::3], values[18::3], strict=True)))
    return _make(Tick, (
        token, "full", last / by, volume, time, traded, quantity, average / by, buys, sells,
        open_ / by, high / by, low / by, close / by, oi, levels[:5], levels[5:],
    ))  # fmt: skip


def _tick(frame: bytes, at: int, length: int) -> Tick | None:
    if length == FULL:
        return _deep(frame, at)
    if length == QUOTE:
        return _quote(frame, at)
    if length == LTP:
        return _ltp(frame, at)
    if length in (INDEX_QUOTE, INDEX_FULL):
        return _index(frame, at, length)
    return None


class Decoder:
    """Decodes frames and counts what it could not read.

    ``damaged`` counts frames that were cut or said another number of packets than they held;
    ``unknown`` counts packets of a length that is not in the layout.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self.unknown = 0

    def decode(self, frame: bytes) -> list[Tick]:
        """The ticks of one binary frame; none for a heartbeat. Never raises."""
        single = self._single_size(frame)
        if single and single[0] >= _COLUMNS_FROM:
            return self.decode_columns(frame).ticks()
        ticks = []
        for at, length in self._packets(frame):
            tick = _tick(frame, at, length)
            if tick is None:
                self.unknown += 1
            else:
                ticks.append(tick)
        return ticks

    def read(self, frame: bytes) -> Sequence[Tick]:
        """The ticks of one binary frame as they are dealt with soonest: a few as a list, many as columns. Never
        raises."""
        if len(frame) < 2 or _count(frame, 0)[0] < MANY:
            return self.decode(frame)
        columns = self.decode_columns(frame)
        return columns if len(columns) >= MANY else columns.ticks()

    def decode_columns(self, frame: bytes) -> TickColumns:
        """The packets of one binary frame as columns; empty for a heartbeat. Never raises."""
        from .columns import TickColumns

        single = self._single_size(frame)
        if single:
            return TickColumns.of_one_length(frame, *single)
        packets = self._packets(frame)
        known = [packet for packet in packets if packet[1] in MODES]
        self.unknown += len(packets) - len(known)
        return TickColumns.of_packets(frame, known)

    def _packets(self, frame: bytes) -> list[tuple[int, int]]:
        """Where each whole packet starts and how long it is."""
        size = len(frame)
        if size < 4:
            # A heartbeat is one byte of any content; two to three bytes hold no packet either.
            if size in (2, 3) and frame[:2] != b"\x00\x00":
                self.damaged += 1
            return []
        said = _count(frame, 0)[0]
        packets: list[tuple[int, int]] = []
        at = 2
        while len(packets) < said and at + 2 <= size:
            length = _count(frame, at)[0]
            at += 2
            if at + length > size:
                break
            packets.append((at, length))
            at += length
        if len(packets) != said or at != size:
            self.damaged += 1
        return packets

    @staticmethod
    def _single_size(frame: bytes) -> tuple[int, int] | None:
        """``(count, length)`` if the frame is whole and all its packets have one known length."""
        if len(frame) < 12:
            return None
        count, length = _count(frame, 0)[0], _count(frame, 2)[0]
        if length not in MODES or len(frame) != 2 + count * (length + 2):
            return None
        step = length + 2
        high, low = frame[2::step], frame[3::step]
        if high.count(length >> 8) != count or low.count(length & 0xFF) != count:
            return None
        return count, length


def decode(frame: bytes) -> list[Tick]:
    """The ticks of one binary frame; none for a heartbeat. Never raises."""
    return Decoder().decode(frame)


def decode_columns(frame: bytes) -> TickColumns:
    """The packets of one binary frame as numpy columns. Never raises."""
    return Decoder().decode_columns(frame)


@dataclass(frozen=True, slots=True)
class Notice:
    """A text message that is no order: ``kind`` is Kite's ``type`` (``error``, ``message``,
    ``instruments_meta`` …), or ``damaged`` if the text could not be read."""

    kind: str
    text: str


def decode_text(payload: str | bytes, source: Source = Source.STREAM) -> OrderUpdate | Notice:
    """A text message of the stream (or the body of a postback). Never raises."""
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return Notice("damaged", f"{len(payload)} characters that are no JSON")
    if not isinstance(message, dict):
        return Notice("damaged", "JSON, but no object")
    if "type" not in message and "order_id" in message:
        row: Any = message
    elif message.get("type") == "order":
        row = message.get("data")
    else:
        data = message.get("data")
        text = data if isinstance(data, str) else json.dumps(data)
        return Notice(str(message.get("type") or "damaged"), text)
    if not isinstance(row, dict) or not row.get("order_id"):
        return Notice("damaged", "an order message without order_id")
    return order_update(row, source)


def order_update(row: Mapping[str, Any], source: Source) -> OrderUpdate:
    """An order row of REST, stream or postback as an update. Missing or null fields are empty."""
    return OrderUpdate(
        order_id=_text(row, "order_id"),
        status=_text(row, "status"),
        exchange=_text(row, "exchange"),
        tradingsymbol=_text(row, "tradingsymbol"),
        transaction_type=_text(row, "transaction_type"),
        order_type=_text(row, "order_type"),
        product=_text(row, "product"),
        variety=_text(row, "variety"),
        validity=_text(row, "validity"),
        quantity=_whole(row, "quantity"),
        filled_quantity=_whole(row, "filled_quantity"),
        pending_quantity=_whole(row, "pending_quantity" if "pending_quantity" in row else "unfilled_quantity"),
        cancelled_quantity=_whole(row, "cancelled_quantity"),
        price=_number(row, "price"),
        trigger_price=_number(row, "trigger_price"),
        average_price=_number(row, "average_price"),
        tag=_text(row, "tag"),
        status_message=_text(row, "status_message") or _text(row, "status_message_raw"),
        exchange_time=moment(row.get("exchange_update_timestamp")) or moment(row.get("exchange_timestamp")),
        order_time=moment(row.get("order_timestamp")),
        parent_order_id=_text(row, "parent_order_id"),
        source=source,
        raw=MappingProxyType(dict(row)),
    )


def moment(value: Any) -> datetime | None:
    """Kite's timestamp (text, with or without zone, or a datetime) as naive IST; None if it is none."""
    if isinstance(value, datetime):
        return to_ist(value)
    if not isinstance(value, str) or len(value) < 10:  # trades also carry "HH:MM:SS"
        return None
    try:
        return to_ist(datetime.fromisoformat(value))
    except ValueError:
        return None


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    try:
        number = float(value) if value is not None else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if number == number and abs(number) != float("inf") else 0.0


def _whole(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key)
    return value if type(value) is int else int(_number(row, key))
