"""Candles from bytes against the same answer read as JSON: equal to the last bit, or left to JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.kite import digits
from btkite.kite.tables import candle_columns, read_candles


def answer(rows: list[Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"candles": rows}}, separators=(",", ":")).encode()


def by_json(text: bytes) -> dict[str, Any]:
    return candle_columns(json.loads(text)["data"]["candles"])


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype, name
        assert one[name].tobytes() == other[name].tobytes(), name


numbers = st.one_of(
    st.integers(0, 10**15 - 1),
    st.integers(0, 99_999),
    st.decimals(0, 999_999, places=2, allow_nan=False).map(float),
    st.decimals(0, 99, places=4, allow_nan=False).map(float),
    st.floats(0, 1e9, allow_nan=False),
    st.floats(-1e5, 0),
)
dates = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}".zfill(19)
)


@given(st.lists(st.tuples(dates, *[numbers] * 6), min_size=1, max_size=20), st.booleans())
def test_bytes_say_what_json_says(rows: list[Any], oi: bool) -> None:
    text = answer([[f"{row[0]}+0530", *row[1 : 7 if oi else 6]] for row in rows])
    same(candle_columns(read_candles(text)["data"]["candles"]), by_json(text))


def a_day(dice: Random, count: int) -> list[list[Any]]:
    start = datetime(2026, 7, 15, 9, 15)
    return [
        [f"{start + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S}+0530",
         *(round(dice.uniform(90, 130_000), dice.choice([0, 1, 2, 4])) for _ in range(4)), dice.randint(0, 10**9)]
        for number in range(count)
    ]  # fmt: skip


def test_kites_candles_are_read_from_their_bytes() -> None:
    text = answer(a_day(Random(1), 5_000))
    found = digits.candles(text)
    assert found is not None
    assert found[0] == b'{"status":"success","data":{"candles":[]}}'
    same(candle_columns(read_candles(text)["data"]["candles"]), by_json(text))


@given(st.integers(0, 2**32))
def test_a_damaged_answer_is_read_as_json_reads_it_or_refused_as_json_refuses_it(seed: int) -> None:
    dice = Random(seed)
    text = bytearray(answer(a_day(dice, dice.randint(1, 4))))
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(text))
        match dice.choice(["put", "put", "drop", "add"]):
            case "put":
                text[place] = dice.choice(b'0123456789.,-[]"{}:+T eE')
            case "drop":
                del text[place]
            case _:
                text.insert(place, dice.choice(b'0123456789.,-[]"eE '))
    try:
        want = json.loads(bytes(text))
    except ValueError:
        with pytest.raises(ValueError):
            read_candles(bytes(text))
        return
    got = read_candles(bytes(text))
    if isinstance(got, dict) and isinstance(got.get("data"), dict) and isinstance(got["data"].get("candles"), dict):
        same(got["data"]["candles"], candle_columns(want["data"]["candles"]))
        got["data"]["candles"] = want["data"]["candles"]
    assert got == want


@pytest.mark.parametrize(
    "row",
    [
        '["2026-07-15T09:15:00+0530",1,2,3,4,-0]',
        '["2026-07-15T09:15:00+0530",1,2,3,4,1e3]',
        '["2026-07-15T09:15:00+0530",1,2,3,4,1234567890123456]',
        '["2026-07-15T09:15:00+0530",1,2,3,4,0.1234567890123456]',
        '["2026-07-15T09:15:00+05:30",1,2,3,4,5]',
        '["2026-07-15T09:15:00+0000",1,2,3,4,5]',
        '["2026-02-30T09:15:00+0530",1,2,3,4,5]',
        '["2026-07-15T24:15:00+0530",1,2,3,4,5]',
        '["2026-07-15T09:15:00+0530",01,2,3,4,5]',
        '["2026-07-15T09:15:00+0530",1.,2,3,4,5]',
        '["2026-07-15T09:15:00+0530",.1,2,3,4,5]',
        '["2026-07-15T09:15:00+0530",1.2.3,2,3,4,5]',
        '["2026-07-15T09:15:00+0530",12345.6789.1,2,3,4,5]',
        '["2026-07-15T09:15:00+0530", 1,2,3,4,5]',
        '["2026-07-15T09:15:00+0530",1,2,3,4]',
        '["2026-07-15T09:15:00+0530",1,2,3,4,null]',
        '["2026-07-15T09:15:00+0530",1,2,3,4,]',
    ],
)
def test_what_is_written_otherwise_is_left_to_json(row: str) -> None:
    good = '["2026-07-15T09:16:00+0530",1,2,3,4,5]'
    assert digits.candles(f'{{"data":{{"candles":[{good}]}}}}'.encode()) is not None
    for rows in (f"{row}", f"{good},{row}", f"{row},{good}"):
        assert digits.candles(f'{{"data":{{"candles":[{rows}]}}}}'.encode()) is None


@pytest.mark.parametrize("text", [b"", b"{}", b'{"data":{"candles":[]}}', b'{"data":{"candles":[[]]}}'])
def test_an_answer_without_candles_is_left_to_json(text: bytes) -> None:
    assert digits.candles(text) is None


def test_long_numbers_are_the_doubles_that_float_gives() -> None:
    dice = np.random.default_rng(3)
    texts = [f"{dice.integers(0, 10 ** int(dice.integers(1, 14)))}" for _ in range(3_000)]
    texts += [
        f"{whole}.{dice.integers(0, 10 ** min(15 - len(whole), 6)):0{min(15 - len(whole), 6)}d}" for whole in texts
    ]
    row = '["2026-07-15T09:15:00+0530",{0},{0},{0},{0},{0}]'
    text = f'{{"data":{{"candles":[{",".join(row.format(one) for one in texts)}]}}}}'.encode()
    found = digits.candles(text)
    assert found is not None
    assert found[2][0].tolist() == [float(one) for one in texts]
