"""How the last trades ended: what each open position has brought in, and how many trades in a row have lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class Streak:
    """A trade is a position from flat to flat (or to the other side); it has lost if it brought in less than its
    charges."""

    def __init__(self) -> None:
        self.losing = 0  # trades in a row, up to the last one that ended
        self.last: datetime | None = None  # when the last of them ended
        self._running: dict[str, float] = {}  # ₹ that the open positions have brought in so far, charges taken off

    def booked(
        self, key: str, pnl: float, charges: float, closed: int, opened: int, left: int, time: datetime | None
    ) -> None:
        """A fill closed and opened so many units (signed), and ``left`` is held now. What an execution costs is
        shared by its units."""
        if not closed:
            self._running[key] = self._running.get(key, 0.0) - charges
            return
        share = charges * abs(closed) / (abs(closed) + abs(opened))
        result = self._running.pop(key, 0.0) + pnl - share
        if left and not opened:
            self._running[key] = result
            return
        if left:
            self._running[key] = share - charges
        if result < 0:
            self.losing += 1
            self.last = time if time is not None else self.last
        else:
            self.losing = 0

    def state(self) -> dict[str, Any]:
        """For JSON."""
        last = None if self.last is None else self.last.isoformat()
        return {"losing": self.losing, "last": last, "running": dict(self._running)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Streak:
        """What :meth:`state` gave; of an older format, nothing has lost yet."""
        found = cls()
        found.losing = int(state.get("losing", 0))
        last = state.get("last")
        found.last = None if last is None else datetime.fromisoformat(last)
        found._running = dict(state.get("running", {}))
        return found
