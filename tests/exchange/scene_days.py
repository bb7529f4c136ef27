"""Markets of several days, for the tests of the account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from btkite.exchange import CandleSeries

from .scene import DAY, KEY, Scene, candles


def joined(parts: Sequence[CandleSeries]) -> CandleSeries:
    """One series of several days'."""
    return CandleSeries(
        interval=parts[0].interval,
        start=[moment for part in parts for moment in part.start.astype("datetime64[s]").tolist()],
        **{
            name: [value for part in parts for value in getattr(part, name)]
            for name in ("open", "high", "low", "close", "volume")
        },
    )


def days(*prices: float, **more: Any) -> Scene:
    """INFY: two candles a day on consecutive days from a Wednesday, each day at its own price."""
    parts = [candles([(price,) * 4] * 2, day=DAY + timedelta(days=at)) for at, price in enumerate(prices)]
    return Scene(candles={KEY: joined(parts)}, **more)


def next_day(scene: Scene) -> None:
    """Play on to the next day's open."""
    opens = scene.venue.market.next_session()
    assert opens is not None
    scene.venue.move_to(opens)
