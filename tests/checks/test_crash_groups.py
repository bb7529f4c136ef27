"""Killed between what was heard of an order and what its group asks for then: the next life asks for it.

One market day each, and the exchange's book at its end is the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from btkite.checks.boundaries import Boundary
from btkite.checks.lives import Day, Script, Stage
from btkite.checks.scenario import KEYS
from btkite.series import Candles

KEY = "NSE:INFY"
OPEN = datetime(2026, 11, 18, 9, 15)
WARMUP = 2
FLAT = (1000.0, 1000.5, 999.5, 1000.0)
BOTH = (1000.0, 1012.0, 985.0, 986.0)  # up to the target, then down to the stop
DOWN = (1000.0, 1000.5, 985.0, 986.0)
BRACKET = "self.buy_bracket(size=10, exectype=bt.Order.Market, stopprice=990.0, limitprice=1010.0)"
TAKEN_BACK = "self.cancel(self.buy(size=10, exectype=bt.Order.Limit, price=990.0))"

STRATEGY = """
import backtrader as bt

class Once(bt.Strategy):
    def next(self):
        if self.data.datetime.time().minute == {minute}:
            {order}
"""

Living = Callable[..., Day]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


@pytest.fixture
def live(stage: Stage, tmp_path: Path) -> Living:
    """A day of flat minutes around ``bars``: in its first live one ``order`` is given; ``deaths`` as in a script."""

    def run(
        order: str, *bars: tuple[float, ...], deaths: tuple[str, ...], exits: str = "two", late: bool = False
    ) -> Day:
        path = tmp_path / "once.py"
        path.write_text(STRATEGY.format(order=order, minute=OPEN.minute + WARMUP + 1))
        faults: list[Mapping[str, Any]] = []
        if late:
            at = OPEN + timedelta(minutes=WARMUP + 3)
            faults = [{"kind": "order_update_delayed", "times": 1, "match": {"at": f"{at.isoformat()}+05:30"},
                       "args": {"seconds": 30.0}}]  # fmt: skip
        script = Script(
            f"{path}:Once",
            {KEY: _candles((*[FLAT] * (WARMUP + 3), *bars, *[(bars or [FLAT])[-1][-1:] * 4] * 5))},
            keys={**KEYS, "data.warmup": WARMUP, "groups.exits": exits},
            start=OPEN + timedelta(minutes=WARMUP) - timedelta(seconds=5),
            settings={"faults": faults},
        )
        return stage.play(script, [Boundary.parse(one) for one in deaths])

    return run


def _candles(rows: tuple[tuple[float, ...], ...]) -> Candles:
    table = np.array(rows)
    starts = np.array([OPEN + timedelta(minutes=n) for n in range(len(rows))], dtype="datetime64[s]")
    prices = {name: table[:, place] for place, name in enumerate(("open", "high", "low", "close"))}
    return Candles.of(KEY, "minute", {"date": starts, **prices, "volume": np.full(len(rows), 1000)})


def held(day: Day) -> int:
    return sum(int(row["quantity"]) for row in day.positions)


def resting(day: Day) -> list[Mapping[str, Any]]:
    return [row for row in day.orders if row["status"] in ("OPEN", "TRIGGER PENDING")]


def traded(day: Day) -> list[tuple[str, int]]:
    return [(str(row["transaction_type"]), int(row["quantity"])) for row in day.trades]


@pytest.mark.parametrize("exits", ["one", "two"])
def test_the_other_exit_goes_when_the_process_dies_right_behind_the_fill_of_the_first(live: Living, exits: str) -> None:
    day = live(BRACKET, DOWN, deaths=("journal fill: durable #2",), exits=exits)
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert (traded(day), held(day), resting(day)) == ([("BUY", 10), ("SELL", 10)], 0, [])


@pytest.mark.parametrize("death", ["durable", "written, not durable"])
def test_what_was_exited_once_too_often_is_traded_back_when_the_process_dies_right_behind_that_fill(
    live: Living, death: str
) -> None:
    """Both exits have traded, as the word of the first came late."""
    day = live(BRACKET, BOTH, deaths=(f"journal fill: {death} #3",), late=True)
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert (traded(day), held(day)) == ([("BUY", 10), ("SELL", 10), ("SELL", 10), ("BUY", 10)], 0)


def test_exits_that_trade_once_too_often_know_their_entry_after_a_restart(live: Living) -> None:
    """It was over, and no order of the strategy's any more."""
    day = live(BRACKET, BOTH, deaths=("journal placed: durable #3",), late=True)
    assert (len(day.deaths), day.codes[-1]) == (1, 0), day.output[-600:]
    assert (traded(day), held(day)) == ([("BUY", 10), ("SELL", 10), ("SELL", 10), ("BUY", 10)], 0)


def test_an_order_that_was_taken_back_before_it_left_is_not_sent_by_the_next_life(live: Living) -> None:
    day = live(TAKEN_BACK, deaths=("journal cancel: durable #1",))
    assert (len(day.deaths), day.codes[-1]) == (1, 0)
    assert day.orders == ()
    assert [event.data["how"] for event in day.events if event.kind == "end"] == ["canceled"]
