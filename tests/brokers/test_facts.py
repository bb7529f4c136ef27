"""What is written of an order explains it, and writing it changes nothing: the same trades with and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import btkite
from btkite.config import Config
from btkite.sizers import FixedRupees
from btkite.testing import bars

KEYS = ("NSE:AAA", "NSE:BBB")


class Mixed(bt.Strategy):
    """Sizes by its sizer, by itself, and asks its sizer for nothing."""

    params = (("fast", 3), ("weird", float("inf")))

    def __init__(self) -> None:
        self.setsizer(FixedRupees(rupees=1_000.0))
        self.asked: list[int] = []

    def next(self) -> None:
        first, second = self.datas
        if len(self) == 1:
            self.buy(data=first)
        elif len(self) == 2:
            self.buy(data=first, size=7)
        elif len(self) == 3:
            self.asked.append(self.getsizing(first))
            self.buy(data=second, size=10)  # as many as the sizer said of the other
        elif len(self) == 4:
            self.buy_bracket(data=second, size=4, exectype=bt.Order.Market, stopprice=90.0, limitprice=110.0)
        elif len(self) == 5:
            self.buy(data=first, size=10)  # as many as the sizer said two bars ago
        elif len(self) == 6:
            self.close(data=first)


def go(folder: Path, *, save: bool) -> Any:
    rows = [(100.0, 101.0, 99.0, 100.0)] * 10
    source = {key: bars.from_rows(rows, symbol=key) for key in KEYS}
    config = Config().with_(**{"paths.runs": str(folder), "risk.max_position_pct": 100.0, "data.warmup": 0})
    return btkite.run(Mixed, KEYS, source=source, config=config, save=save, report=False)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    result = go(tmp_path_factory.mktemp("runs"), save=True)
    text = (result.folder / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def orders(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for line in lines if line["kind"] == "order" for row in line["orders"]]


def test_writing_it_down_changes_nothing(tmp_path: Path) -> None:
    kept, plain = go(tmp_path, save=True), go(tmp_path, save=False)
    for name in ("orders", "trades", "equity"):
        ours, theirs = getattr(kept, name), getattr(plain, name)
        same = [column for column in ours.columns if column not in ("ref", "parent")]
        assert ours[same].equals(theirs[same]), name


def test_a_sizers_inputs_are_noted_for_its_own_orders_only(lines: list[dict[str, Any]]) -> None:
    sizing = [row["sizing"] for row in orders(lines)]
    first = sizing[0]
    assert (first["sizer"], first["params"], first["price"], first["size"]) == (
        "FixedRupees", {"rupees": 1000.0}, 100.0, 10.0,
    )  # fmt: skip
    assert first["cash"] == first["value"] == 100_000.0
    assert sizing[1:] == [None] * (len(sizing) - 1)


def test_the_bars_that_the_strategy_saw_are_its_own_feeds_first_the_orders(lines: list[dict[str, Any]]) -> None:
    rows = orders(lines)
    assert [bar["symbol"] for bar in rows[0]["bars"]] == ["NSE:AAA", "NSE:BBB"]
    assert [bar["symbol"] for bar in rows[2]["bars"]] == ["NSE:BBB", "NSE:AAA"]
    assert [row["bars"][0]["length"] for row in rows[:3]] == [1, 2, 3]
    assert rows[0]["bars"][0]["high"] == 101.0


def test_a_strategy_is_named_with_its_parameters_and_a_digest_of_both(lines: list[dict[str, Any]]) -> None:
    (strategy,) = [line for line in lines if line["kind"] == "strategy"]
    assert strategy["strategy"] == "Mixed"
    assert strategy["params"] == {"fast": 3, "weird": "inf"}
    assert {row["digest"] for row in orders(lines)} == {strategy["digest"]}


def test_a_bracket_is_written_as_one_with_each_members_place(lines: list[dict[str, Any]]) -> None:
    (group,) = [line["orders"] for line in lines if line["kind"] == "order" and len(line["orders"]) == 3]
    parent, stop, target = group
    assert [row["exectype"] for row in group] == ["Market", "Stop", "Limit"]
    assert stop["proposal"]["parent"] == target["proposal"]["parent"] == parent["ref"]
    assert stop["proposal"]["reduces"]
    assert (stop["price"], target["price"]) == (90.0, 110.0)


def test_charges_are_written_part_by_part(lines: list[dict[str, Any]]) -> None:
    fills = [line for line in lines if line["kind"] == "fill"]
    assert fills
    for fill in fills:
        parts = dict(fill["of_it"])
        parts.pop("ipft")
        assert sum(parts.values()) == pytest.approx(fill["charges"], abs=0.005)
