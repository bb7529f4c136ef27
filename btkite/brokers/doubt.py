"""Orders of which Kite may or may not know: when to ask its book for them, and when to stop.

Kite did not answer their placement. One was seen to appear in the book 90 seconds later, so until then
nothing is decided, whatever an earlier look at the book says. What was given up is watched for a while
longer: Kite's stream says nothing of an order that only rests.
"""

from __future__ import annotations

LOOKS = (1, 2, 4, 8, 15, 30, 45, 60, 75, 90)
"""Seconds after the doubt began at which the book is asked; the last one decides."""
AGAIN = 15
"""Seconds between further looks, if the deciding one was not answered."""
WATCH = 60
"""Seconds between looks for what was given up, for an hour."""
WATCHED = 3600


class Doubt:
    """The doubtful orders of one account, by ref; times are market seconds."""

    def __init__(self) -> None:
        self._began: dict[int, int] = {}
        self._made: dict[int, int] = {}
        self._watched: dict[int, tuple[int, int]] = {}  # ref -> (next look, last look)

    def __contains__(self, ref: int) -> bool:
        return ref in self._began

    def refs(self) -> list[int]:
        """In the order in which their doubts began."""
        return list(self._began)

    def until(self, ref: int) -> int:
        """The second of the look that decides on a doubtful order."""
        return self._began[ref] + LOOKS[-1]

    def begin(self, ref: int, now: int) -> None:
        """From ``now`` on nobody knows."""
        self._began[ref], self._made[ref] = now, 0

    def end(self, ref: int) -> bool:
        """It is known; True if it was in doubt."""
        self._watched.pop(ref, None)
        self._made.pop(ref, None)
        return self._began.pop(ref, None) is not None

    def look(self, now: int) -> bool:
        """Whether it is time to ask the book; then that look counts as made."""
        due = [ref for ref in self._began if now >= self._due(ref)]
        for ref in due:
            self._made[ref] += 1
        watched = [ref for ref, (at, _) in self._watched.items() if now >= at]
        for ref in watched:
            _, last = self._watched.pop(ref)
            if now < last:
                self._watched[ref] = (now + WATCH, last)
        return bool(due or watched)

    def due(self) -> list[int]:
        """The seconds of the next looks."""
        return [*map(self._due, self._began), *(at for at, _ in self._watched.values())]

    def give_up(self, asked: int) -> list[tuple[int, int]]:
        """(ref, seconds of doubt) of those that a book asked for at ``asked`` should have held and did not."""
        found = [(ref, asked - began) for ref, began in self._began.items() if asked >= began + LOOKS[-1]]
        for ref, _ in found:
            self.end(ref)
            self._watched[ref] = (asked + WATCH, asked + WATCHED)
        return found

    def _due(self, ref: int) -> int:
        made = self._made[ref]
        further = (made - len(LOOKS) + 1) * AGAIN if made >= len(LOOKS) else 0
        return self._began[ref] + LOOKS[min(made, len(LOOKS) - 1)] + further
