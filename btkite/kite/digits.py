"""Kite's candles from the bytes of its answer: numbers and dates of all rows at once, and no object a row.

A row is ``["2017-12-15T09:15:00+0530",1704.5,1705,1699.25,1702.8,2499]``, with open interest behind it if that was
asked for. What is not written like that to the letter (spaces, exponents, more than fifteen digits, another zone) is
not read here, so that nothing is ever read differently: :func:`candles` then says None, and the answer is read as any
JSON.

A number of at most fifteen digits is a whole number below 2**53 by a power of ten below 10**22: both are doubles, so
their quotient is the double nearest to what is written, which is what ``float`` gives.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_OPEN, _CLOSE = b'"candles":[[', b"]]"
_QUOTE, _COMMA, _DOT, _MINUS, _LEFT, _RIGHT, _ZERO = b'",.-[]0'
_DATE = len('"2017-12-15T09:15:00+0530"')
_BLOCK = 2048  # rows
_DIGITS = 15  # of a number that is read here
_POWERS = 10.0 ** np.arange(_DIGITS + 1)


def _word(text: bytes) -> np.uint64:
    """Eight characters as one integer, the first in its lowest byte."""
    return np.uint64(int.from_bytes(text, "little"))


_ONES, _HIGHS, _ZEROS, _DOTS, _SIXES = (_word(byte * 8) for byte in (b"\x01", b"\x80", b"0", b".", b"\x06"))
_TENS = _word(b"\xf0" * 8)
_UNITS_AND = np.uint64(0x0000_00FF_0000_00FF)
_BY_COUNT = np.uint64(0x0706_0504_0302_0100)
# A date in three words: where its marks are, and which.
_MARKS = (
    (_word(b"\0\0\0\0\xff\0\0\xff"), _word(b"\0\0\0\0-\0\0-")),
    (_word(b"\0\0\xff\0\0\xff\0\0"), _word(b"\0\0T\0\0:\0\0")),
    (_word(b"\xff\0\0\xff\xff\xff\xff\xff"), _word(b":\0\0+0530")),
)


def candles(answer: bytes) -> tuple[bytes, Array, list[Array]] | None:
    """The answer without its candles; starts (datetime64[s], naive IST); the columns behind them (float64).

    None if there is no candle, or if anything is written as we do not read it.
    """
    begin, end = answer.find(_OPEN), answer.rfind(_CLOSE)
    if begin < 0 or end < begin:
        return None
    begin += len(_OPEN) - 1
    rest = answer[:begin] + answer[end + 1 :]
    text = np.frombuffer(answer, np.uint8, end + 1 - begin, begin)
    commas = np.flatnonzero(text == _COMMA)
    left = np.flatnonzero(text == _LEFT)
    count = len(left)
    width, more = divmod(len(commas) + 1, count)
    if more or width not in (6, 7) or int(np.count_nonzero(text == _RIGHT)) != count:
        return None
    after = np.append(commas, len(text)).reshape(count, width)  # what ends each field
    ends = after.copy()
    ends[:, -1] -= 1  # the bracket before it
    starts = np.empty_like(ends)
    starts[:, 1:] = after[:, :-1] + 1
    starts[:, 0] = left + 1
    in_place = (text[ends[:, -1]] == _RIGHT).all() and (after[:-1, -1] + 1 == left[1:]).all() and left[0] == 0
    if not in_place or not (ends[:, 0] - starts[:, 0] == _DATE).all():
        return None
    words = np.ndarray(len(text) - 7, "<u8", text, strides=(1,))  # the eight bytes from each place on
    dates = _dates(text, words, starts[:, 0])
    if dates is None:
        return None
    numbers = np.empty((count, width - 1))
    for low in range(0, count, _BLOCK):  # what is in between stays in the processor's cache
        rows = slice(low, low + _BLOCK)
        found = _numbers(text, words, starts[rows, 1:].ravel(), ends[rows, 1:].ravel())
        if found is None:
            return None
        numbers[rows] = found.reshape(-1, width - 1)
    return rest, dates, list(numbers.T)


def _numbers(text: Array, words: Array, starts: Array, ends: Array) -> Array | None:
    """The numbers between these places."""
    negative = text[starts] == _MINUS
    starts = starts + negative
    length = ends - starts
    if int(length.min()) < 1 or int(length.max()) > _DIGITS + 1:
        return None
    # As JSON has it: no zero before another digit, a digit on both sides of a point.
    first, second = text[starts], text[np.minimum(starts + 1, ends - 1)]
    wrong = (first == _ZERO) & (length > 1) & (second != _DOT)
    wrong |= (first == _DOT) | (text[ends - 1] == _DOT)
    if bool(wrong.any()):
        return None
    found = words[ends - 8]
    spare = np.maximum(8 - length, 0).astype(np.uint64) << np.uint64(3)
    low = (np.uint64(1) << spare) - np.uint64(1)  # the bytes before the number
    found = (found & ~low) | (_ZEROS & low)
    found, point, decimals, good = _without_point(found)
    values = _eight(found).astype(np.float64)
    long = np.flatnonzero(length > 8)
    if len(long):
        if int(ends[long].min()) < 16:
            return None
        spare = np.maximum(16 - length[long], 0).astype(np.uint64) << np.uint64(3)
        low = (np.uint64(1) << spare) - np.uint64(1)
        head, ahead, more, fine = _without_point((words[ends[long] - 16] & ~low) | (_ZEROS & low))
        behind = point[long]
        if not bool(fine.all()) or bool((ahead & behind).any()):
            return None
        whole = _eight(head).astype(np.int64) * np.where(behind, 10**7, 10**8) + _eight(found[long]).astype(np.int64)
        values[long] = whole.astype(np.float64)
        decimals[long] = np.where(ahead, more + 8, decimals[long])
        point[long] |= ahead
    if not bool(good.all()) or int((length - point).max()) > _DIGITS:
        return None
    values /= _POWERS[decimals]
    if bool((negative & (values == 0)).any()):  # -0 is 0, and -0.0 is not
        return None
    return np.where(negative, -values, values)


def _without_point(found: Array) -> tuple[Array, Array, Array, Array]:
    """Words of digits, and perhaps a point, without it; whether there was one; how many digits were behind it; whether
    the rest is digits."""
    other = found ^ _DOTS
    point = (other - _ONES) & ~other & _HIGHS  # the highest bit of the first byte that is a point
    byte = point >> np.uint64(7)
    before = byte - np.uint64(1)
    kept = (found & ~before & ~(byte * np.uint64(0xFF))) | ((found & before) << np.uint64(8)) | np.uint64(_ZERO)
    whole = point == 0
    digits = np.where(whole, found, kept)
    good = ((digits & _TENS) == _ZEROS) & (((digits + _SIXES) & _TENS) == _ZEROS)
    return digits, ~whole, ((byte * _BY_COUNT) >> np.uint64(56)).astype(np.int64), good


def _eight(digits: Array) -> Array:
    """Words of eight digits as numbers, all digits of a word at once."""
    pairs = (digits - _ZEROS) * np.uint64(10) + ((digits - _ZEROS) >> np.uint64(8))
    upper = (pairs & _UNITS_AND) * np.uint64(0x000F_4240_0000_0064)
    lower = ((pairs >> np.uint64(16)) & _UNITS_AND) * np.uint64(0x0000_2710_0000_0001)
    return (upper + lower) >> np.uint64(32)


def _dates(text: Array, words: Array, starts: Array) -> Array | None:
    """The dates that begin with a quote at these places, to the second, in the zone of India."""
    if not bool(((text[starts] == _QUOTE) & (text[starts + _DATE - 1] == _QUOTE)).all()):
        return None
    digits = []
    for part, (where, marks) in enumerate(_MARKS):
        found = words[starts + 1 + 8 * part]
        found = np.where((found & where) == marks, (found & ~where) | (_ZEROS & where), np.uint64(0))
        if not bool((((found & _TENS) == _ZEROS) & (((found + _SIXES) & _TENS) == _ZEROS)).all()):
            return None
        digits.append(_eight(found).astype(np.int64))
    # What was a mark is a 0 now: 2017-12- is 20170120, 15T09:15 is 15009015, and :00+0530 is 00000000.
    year, month = digits[0] // 10_000, digits[0] // 10 % 100
    day, hour, minute = digits[1] // 1_000_000, digits[1] // 1000 % 100, digits[1] % 100
    second = digits[2] // 100_000
    months = ((year - 1970) * 12 + month - 1).view("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    there = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    if not bool((there & (hour < 24) & (minute < 60) & (second < 60) & (year > 0)).all()):
        return None
    seconds = days.astype("datetime64[s]").view(np.int64) + (hour * 60 + minute) * 60 + second
    return np.asarray(seconds.view("datetime64[s]"))
