"""Shapes: what fits and what is said of what does not."""

from __future__ import annotations

import base64
import json

import pytest

from btkite.conformance.packets import packets_of, read
from btkite.conformance.shape import Shapes
from tests.shared import need

SHAPES = Shapes()
FULL_DEPTH = {"buy": [], "sell": []}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("order_response.json", {"order_id": "1"}, []),
        ("order_response.json", {"order_id": "1", "more": 1}, []),
        ("order_response.json", {"order_id": 1}, ["order_id is number, not string"]),
        ("order_response.json", {}, ["order_id is missing"]),
        ("order_response.json", [], ["the answer is a list, not an object"]),
        ("trades.json", [], ["the list is empty: its rows cannot be judged"]),
        ("session_logout.json", 1, ["the answer is number, not boolean"]),
        ("gtt_place_order.json", {"trigger_id": True}, ["trigger_id is boolean, not number"]),
        ("ltp.json", {"NSE:A": {"instrument_token": 1, "last_price": None}}, ["NSE:A.last_price is null, not number"]),
        ("autoslice_response.json", {"order_id": "1", "children": [{"order_id": "2"}, {}]}, []),
        (
            "autoslice_response.json",
            {"order_id": "1", "children": [{"error": {"code": 400, "message": "m", "data": None}}]},
            ["children[0].error.error_type is missing"],
        ),
        ("historical_minute.json", {"candles": [["t", 1, 2]]}, []),
        ("historical_minute.json", {"candles": [1]}, ["candles[0] is number, not a list"]),
    ],
)
def test_a_misfit_is_a_sentence_with_its_place(name, value, said):
    assert SHAPES.misfits(name, value) == said


def test_every_named_shape_is_used_and_every_use_is_named():
    named = SHAPES._named
    used = set()

    def visit(shape):
        if isinstance(shape, dict):
            for inner in shape.values():
                visit(inner)
        elif isinstance(shape, list):
            visit(shape[0])
        elif shape in named:
            if shape not in used:
                used.add(shape)
                visit(named[shape])
        else:
            assert set(shape.split("|")) <= {"string", "number", "boolean", "null", "any"}, shape

    for shape in SHAPES.answers.values():
        visit(shape)
    assert used == set(named)


def test_the_table_names_every_sample_of_kites_and_they_all_fit():
    folder = need("kite_mocks")
    assert SHAPES.files == sorted(path.name for path in folder.iterdir())
    wrong = {}
    for name in SHAPES.answers:
        if name.startswith("ticker"):
            continue
        sample = json.loads((folder / name).read_text())
        data = sample["data"] if isinstance(sample, dict) and "data" in sample else sample
        if misfits := SHAPES.misfits(name, data):
            wrong[name] = misfits
    assert wrong == {}
    for name, columns in SHAPES.columns.items():
        assert (folder / name).read_text().splitlines()[0].split(",") == columns


@pytest.mark.parametrize(("mode", "size"), [("full", 184), ("quote", 44)])
def test_kites_own_packets_are_read_as_its_samples_say(mode, size):
    folder = need("kite_mocks")
    packet = base64.b64decode((folder / f"ticker_{mode}.packet").read_text())
    sample = json.loads((folder / f"ticker_{mode}.json").read_text())
    tick = read(packet)
    assert len(packet) == SHAPES.packets[f"ticker_{mode}.packet"] == size
    assert {name: tick[name] for name in tick if name in sample and name not in ("last_trade_time", "timestamp")} == {
        name: sample[name] for name in sample if name in tick and name not in ("last_trade_time", "timestamp")
    }
    assert SHAPES.misfits(f"ticker_{mode}.json", tick) == []


def test_a_frame_is_cut_into_its_packets_and_a_heartbeat_has_none():
    frame = b"\0\2" + b"\0\4abcd" + b"\0\2xy"
    assert list(packets_of(frame)) == [b"abcd", b"xy"]
    assert list(packets_of(b"\0")) == []


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"\0\2\0\4abcd", "says 2 packets"),
        (b"\0\1\0\x09abcd", "does not fit"),
        (b"\0\1\0\4abcdef", "2 bytes are left over"),
    ],
)
def test_a_frame_whose_lengths_do_not_add_up_is_refused(frame, said):
    with pytest.raises(ValueError, match=said):
        list(packets_of(frame))
