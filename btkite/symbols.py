"""What the symbol of a contract says: underlying, kind, strike and month.

``NIFTY26NOVFUT``, ``NIFTY26NOV25000CE`` (monthly) and ``NIFTY26N1725000CE`` (weekly: year, month as 1–9 O N D, day).
The instruments dump knows more (lot, tick, exact expiry) and wins wherever there is one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKLY_MONTHS = "123456789OND"
_MONTH = "|".join(_MONTHS)
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?P<name>.+?)(?P<year>\d\d)(?P<month>{_MONTH})(?P<kind>FUT)",
        rf"(?P<name>.+?)(?P<year>\d\d)(?P<month>{_MONTH})(?P<strike>\d+(\.\d+)?)(?P<kind>CE|PE)",
        r"(?P<name>.+?)(?P<year>\d\d)(?P<month>[1-9OND])(?P<day>[0-3]\d)(?P<strike>\d+(\.\d+)?)(?P<kind>CE|PE)",
    )
)


class Contract(NamedTuple):
    """``kind``: FUT, CE or PE; ``strike`` in ₹, 0 of a future; ``day``: of a weekly option, else 0."""

    name: str
    kind: str
    strike: float
    year: int
    month: int
    day: int = 0


def contract(symbol: str) -> Contract | None:
    """The contract that a tradingsymbol names; None if it names none."""
    for form in _FORMS:
        if match := form.fullmatch(symbol):
            said = match.groupdict()
            month = said["month"]
            place = _MONTHS.index(month) if len(month) > 1 else _WEEKLY_MONTHS.index(month)
            return Contract(
                said["name"], said["kind"], float(said.get("strike") or 0), 2000 + int(said["year"]), place + 1,
                int(said.get("day") or 0),
            )  # fmt: skip
    return None
