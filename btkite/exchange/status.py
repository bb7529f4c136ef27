"""How the market stands, in a few figures: for a line in a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .clock import moment

if TYPE_CHECKING:
    from .venue import Venue


@dataclass(frozen=True, slots=True)
class Status:
    """``now`` is naive IST; ``speed`` in market seconds per second, 0 while it stands; ``done``: no data is left."""

    now: datetime
    speed: float
    lockstep: bool
    done: bool
    orders: int
    working: int
    requests: int
    sockets: int
    faults: int

    @classmethod
    def of(cls, venue: Venue) -> Status:
        """Of a venue, in its own thread."""
        return cls(
            now=moment(venue.now),
            speed=venue.clock.speed,
            lockstep=venue.lockstep,
            done=venue.done,
            orders=len(venue.book.orders),
            working=len(venue.book.live()),
            requests=venue.request_count,
            sockets=len(venue.hub.sockets),
            faults=sum(not fault.spent for fault in venue.faults.faults) + len(venue.faults.storms),
        )
