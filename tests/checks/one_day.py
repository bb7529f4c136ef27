"""One market day of flat minutes around a few that are not, on which a strategy gives one order. The exchange's book at
its end is the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from btkite.checks.acts import Act
from btkite.checks.boundaries import Boundary
from btkite.checks.lives import Day, Script, Stage
from btkite.checks.scenario import KEYS
from btkite.series import Candles

KEY = "NSE:INFY"
OPEN = datetime(2026, 11, 18, 9, 15)
WARMUP = 2
FIRST = OPEN + timedelta(minutes=WARMUP + 3)
"""When the minutes begin that are not flat: the order was given two minutes before."""
FLAT = (1000.0, 1000.5, 999.5, 1000.0)
Bar = tuple[float, float, float, float]

BRACKET = "self.buy_bracket(size=10, exectype=bt.Order.Market, stopprice=990.0, limitprice=1010.0)"
DOWN = (1000.0, 1000.5, 985.0, 986.0)
"""To the bracket's stop."""
BOTH = (1000.0, 1012.0, 985.0, 986.0)
"""Up to its target, and then down to its stop."""

_STRATEGY = """
from datetime import timedelta

import backtrader as bt

class Once(bt.Strategy):
    def next(self):
        if self.data.datetime.time().minute == {minute}:
            {order}
"""


@dataclass(frozen=True)
class OneDay:
    """Plays it."""

    stage: Stage
    folder: Path

    def __call__(
        self,
        order: str,
        *bars: Bar,
        deaths: Sequence[str] = (),
        acts: Sequence[Act] = (),
        late: bool = False,
        faults: Sequence[Mapping[str, Any]] = (),
        **keys: Any,
    ) -> Day:
        """``order``: given once, a bar before the last flat one. ``deaths`` as in a script of chaos; ``late``: the
        first word on orders after :data:`FIRST` comes after half a minute; ``faults``: others; ``keys`` of the
        configuration, ``__`` for a dot."""
        path = self.folder / "once.py"
        path.write_text(_STRATEGY.format(order=order, minute=OPEN.minute + WARMUP + 1))
        if late:
            match = {"at": f"{FIRST.isoformat()}+05:30"}
            faults = [*faults, {"kind": "order_update_delayed", "times": 1, "match": match, "args": {"seconds": 30.0}}]
        after = (bars or (FLAT,))[-1][-1]
        script = Script(
            f"{path}:Once",
            {KEY: _candles((*[FLAT] * (WARMUP + 3), *bars, *[(after,) * 4] * 5))},
            keys={**KEYS, "data.warmup": WARMUP, **{name.replace("__", "."): one for name, one in keys.items()}},
            start=OPEN + timedelta(minutes=WARMUP) - timedelta(seconds=5),
            settings={"faults": list(faults)},
            acts=tuple(acts),
        )
        return self.stage.play(script, [Boundary.parse(one) for one in deaths])


def _candles(rows: Sequence[Sequence[float]]) -> Candles:
    table = np.array(rows)
    starts = np.array([OPEN + timedelta(minutes=n) for n in range(len(rows))], dtype="datetime64[s]")
    prices = {name: table[:, place] for place, name in enumerate(("open", "high", "low", "close"))}
    return Candles.of(KEY, "minute", {"date": starts, **prices, "volume": np.full(len(rows), 1000)})


def held(day: Day) -> int:
    return sum(int(row["quantity"]) for row in day.positions)


def resting(day: Day) -> list[Mapping[str, Any]]:
    return [row for row in day.orders if row["status"] in ("OPEN", "TRIGGER PENDING")]


def traded(day: Day) -> list[tuple[str, int]]:
    """In the order in which the exchange made them."""
    return [(str(row["transaction_type"]), int(row["quantity"])) for row in day.trades]
