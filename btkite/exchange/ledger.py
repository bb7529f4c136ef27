"""The ledger: what came to an account and what left it, in whole paise, one line for each reason.

Purses are Kite's segments, ``equity`` and ``commodity``. The balance is what the day opens with, moved by
what is posted: funds at once, trades and charges when the day rolls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

EQUITY, COMMODITY = "equity", "commodity"


def paise(rupees: float | Decimal) -> int:
    """Rupees in whole paise, halves up (away from zero); floats by the digits they are written with."""
    exact = rupees if isinstance(rupees, Decimal) else Decimal(repr(rupees))
    return int((exact * 100).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``amount`` in paise: positive came, negative left."""

    day: date
    segment: str
    kind: str  # funds, trades, charges, depository, square_off, interest, settlement, levies, auction
    text: str
    amount: int

    def row(self) -> dict[str, Any]:
        """For people and judges: rupees."""
        return {
            "date": self.day.isoformat(),
            "segment": self.segment,
            "kind": self.kind,
            "text": self.text,
            "amount": self.amount / 100,
        }


class Ledger:
    """All lines since the start, and the balances."""

    def __init__(self, opening: dict[str, float]) -> None:
        self.opening = {segment: paise(rupees) for segment, rupees in opening.items()}
        self._balances = dict(self.opening)
        self.entries: list[Entry] = []

    def balance(self, segment: str) -> float:
        """Rupees."""
        return self._balances[segment] / 100

    def exact(self, segment: str) -> int:
        """Paise."""
        return self._balances[segment]

    def post(self, day: date, segment: str, kind: str, text: str, amount: int) -> None:
        """Write a line of ``amount`` paise; nothing, if it is nothing."""
        if amount:
            self._balances[segment] += amount
            self.entries.append(Entry(day, segment, kind, text, amount))

    def total(self, *kinds: str) -> int:
        """Paise of all lines of these kinds; of all, if none is named."""
        return sum(entry.amount for entry in self.entries if not kinds or entry.kind in kinds)
