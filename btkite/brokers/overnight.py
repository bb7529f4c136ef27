"""Overnight: positions of product MIS that were held over a night.

Kite closes MIS positions itself before the market does (shares at about 15:20), so a result with such a
position is of trades that no account would have kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ..log import get_logger

log = get_logger(__name__)
INTRADAY = "MIS"


class Overnight:
    """Counts them; ``count`` is of positions times nights."""

    def __init__(self) -> None:
        self.count = 0
        self._first = ""
        self._today: date | None = None

    def turn(self, today: date, held: Iterable[tuple[str, float, date]]) -> None:
        """The market has come to ``today``; ``held``: key, size and first day of each open MIS position, before
        anything of ``today`` is booked."""
        before = self._today
        if before is not None and today <= before:
            return
        self._today = today
        for key, size, since in held:
            if since >= today:
                continue
            self.count += 1
            night = before or since
            if not self._first:
                self._first = f"{size:g} {key} on {night}"
                self._carries = "CNC" if key.startswith(("NSE:", "BSE:")) else "NRML"
                log.warning("an MIS position is held overnight", symbol=key, size=size, night=str(night))

    def __str__(self) -> str:
        """What a reader of the result must know first; empty if there was none."""
        if not self.count:
            return ""
        times = f" (the first of {self.count} times)" if self.count > 1 else ""
        return (
            f"MIS held overnight: {self._first}{times}; Kite squares MIS off before the close, shares at about "
            f"15:20: close it earlier, or use product {self._carries} (broker.default_product)"
        )
