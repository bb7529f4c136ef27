"""What a run says of a kill while it goes on, and what becomes of an account that nobody runs; the exchange's book
judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt

from btkite import runs
from btkite.clock import SystemClock
from btkite.config import Config
from btkite.journal import Journal
from btkite.risk.gate import KillSwitch
from btkite.testing import Steering
from btkite.watch.killing import _answer, close_down
from btkite.watch.places import Place
from btkite.watch.reading import standing
from tests.runs.scene import INTERVAL, SYMBOL, USER, LeavesOpen, at, go, served


def test_a_kill_that_is_widened_is_heeded_told_and_written_down_anew(config: Config, made: Any) -> None:
    """Who widens it waits for a word of the wider one, and takes a run that never says it for deaf."""
    with served(made) as exchange:
        plan = runs.prepare(
            Widened, SYMBOL, mode="live", interval=INTERVAL, config=at(config, exchange), confirm=USER, save=False
        )
        Widened.place, Widened.heard = Place(plan.account, "live", plan.endpoint, plan.folder), []
        plan.go()
    assert [(answer["heeded"], answer["done"]) for answer in Widened.heard] == [(True, True), (True, True)]
    with Journal(plan.folder / "journal.sqlite", SystemClock(), read_only=True) as journal:
        kinds = ("killed", "wound_down")
        noted = [(row.kind, bool(row.data["flatten"])) for row in journal.events() if row.kind in kinds]
    assert noted == [(kind, flatten) for flatten in (False, True) for kind in kinds]


class Widened(LeavesOpen):
    """The switch is set while a position is held and an entry rests, and a while later it is to flatten, too."""

    place: Place
    heard: list[dict[str, Any]]

    def next(self) -> None:
        if len(self) < 30:
            super().next()
        switch, wide = KillSwitch(self.place.kill), len(self) >= 35
        if len(self) in (30, 35):
            switch.engage("test", flatten=wide)
        if len(self) in (34, 39):
            self.heard.append(_answer(standing(self.place), wanted=wide))


class Rests(bt.Strategy):
    """An entry that nobody takes, of an instrument that is not held."""

    def next(self) -> None:
        if not self.broker.get_orders_open():
            self.buy(size=2, exectype=bt.Order.Limit, price=self.data.close[0] * 0.9)
        else:
            self.env.runstop()


def test_without_a_run_an_entry_of_an_instrument_that_is_not_held_is_cancelled_too(config: Config, made: Any) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        go(here, Rests, mode="live")
        steer = Steering(exchange.url)
        assert [row["status"] for row in steer.orders()] == ["OPEN"]
        (path,) = Path(config.paths.state).rglob("journal.sqlite")
        place = Place(USER, "live", exchange.url, path.parent)
        KillSwitch(place.kill).engage("test")
        assert close_down(place, confirm=USER, config=here) == ()
        assert [row["status"] for row in steer.orders()] == ["CANCELLED"]
