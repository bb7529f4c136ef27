"""Between whole seconds and backtrader's line datetimes (days since year 1, as floats).

*Seconds* here are whole seconds since 1970-01-01 00:00 of naive IST: exact, so they can be compared.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAY = 86_400
_EPOCH = datetime(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()
Seconds = NDArray[np.int64]


def to_seconds(moment: datetime) -> int:
    """Naive IST as whole seconds."""
    return int((moment - _EPOCH) // timedelta(seconds=1))


def from_seconds(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=int(seconds))


def seconds_of(num: float) -> int:
    """A line's datetime as whole seconds (lines hold about a microsecond)."""
    return round((num - _EPOCH_ORDINAL) * DAY)


def as_seconds(stamps: NDArray[Any]) -> Seconds:
    """datetime64 of any unit as whole seconds."""
    return stamps.astype("datetime64[s]").astype(np.int64)
