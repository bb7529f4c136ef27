"""Orders of which Kite may or may not know: when to ask its book for them, and when to stop.

Kite did not answer their placement. One was seen to appear in the book 90 seconds later, so until then
nothing is decided, whatever an earlier look at the book says.
"""

from __future__ import annotations

LOOKS = (1, 2, 4, 8, 15, 30, 45, 60, 75, 90)
"""Seconds after the doubt began at which the book is asked; the last one decides."""
AGAIN = 15
"""Seconds between further looks, if the deciding one was not answered."""


class Doubt:
    """The doubtful orders of one account, by ref."""

    def __init__(self) -> None:
        self._began: dict[int, int] = {}
        self._made: dict[int, int] = {}

    def __contains__(self, ref: int) -> bool:
        return ref in self._began

    def refs(self) -> list[int]:
        """In the order in which their doubts began."""
        return list(self._began)

    def begin(self, ref: int, now: int) -> None:
        """From ``now`` (seconds) on nobody knows."""
        self._began[ref], self._made[ref] = now, 0

    def end(self, ref: int) -> bool:
        """It is known; True if it was not."""
        self._made.pop(ref, None)
        return self._began.pop(ref, None) is not None

    def look(self, now: int) -> bool:
        """Whether it is time to ask the book; then that look counts as made."""
        due = [ref for ref in self._began if now >= self._due(ref)]
        for ref in due:
            self._made[ref] += 1
        return bool(due)

    def due(self) -> list[int]:
        """The seconds of the next looks."""
        return [self._due(ref) for ref in self._began]

    def given_up(self, asked: int) -> list[tuple[int, int]]:
        """(ref, seconds of doubt) of those that a book asked for at ``asked`` should have held and did not."""
        return [(ref, asked - began) for ref, began in self._began.items() if asked >= began + LOOKS[-1]]

    def _due(self, ref: int) -> int:
        made = self._made[ref]
        further = (made - len(LOOKS) + 1) * AGAIN if made >= len(LOOKS) else 0
        return self._began[ref] + LOOKS[min(made, len(LOOKS) - 1)] + further
