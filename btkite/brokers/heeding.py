"""Heeding the loss limits: what is lost is looked at with every bar and every fill, not only when an order comes.

A limit that is passed cancels what would open more; if the configuration says so (``risk.on_daily_loss``,
``risk.on_halt``), everything is cancelled and what is held is closed. At the same moments in all modes: when the
strategies' bars are there, before ``next()``, and after each fill.
"""

from __future__ import annotations

from typing import Any

from ..values import Denial
from .base import is_warming
from .changes import Changes
from .winding import Winding


class Heeding(Changes):
    """One account and its limits; Cerebro's thread only."""

    def init(self) -> None:
        super().init()
        self._cold = False  # positions of the last run, of which only old prices are known yet
        self._winding: Winding | None = None

    def heed(self) -> None:
        """After the lines have moved, or a fill: prices are marked, and limits are looked at."""
        if self._cold and self._is_cold():
            return
        self._mark()
        self.ledger.observe()
        gate = self.gate
        if not gate.watched:
            return
        while (passed := gate.watch()) is not None:
            self._say_that_it_is_passed(passed)
        if gate.stops:
            self._wind_down(closing=gate.closing)

    def _is_cold(self) -> bool:
        """Whether a feed still plays bars from before the start: an old price is no mark of what is held now."""
        held: list[Any] = [self._datas.get(key) for key, _, _ in self.holds()]
        self._cold = any(data is not None and is_warming(data) for data in held)
        return self._cold

    def _say_that_it_is_passed(self, passed: Denial) -> None:
        for_good = passed is self.ledger.latched
        self.alert("critical" if for_good else "warning", f"{passed}", passed.rule)
        self._write("limit", rule=passed.rule, reason=passed.reason, key=passed.key, for_good=for_good)
        self._winding = None

    def go_on_heeding(self) -> None:
        """Before time goes on: what a limit has cancelled is out of the market by now, and what was held can go."""
        if self._winding is not None:
            self._wind_down(closing=self.gate.closing)

    def _wind_down(self, closing: Denial | None) -> None:
        if self.ledger.rests if closing is not None else not self.ledger.opens:
            self._winding = None
            return
        if self._winding is None:
            self._winding = Winding(self, word=" and ".join(denial.key for denial in self.gate.stops), tag="risk")
        self._winding.turn(flatten=closing is not None)
