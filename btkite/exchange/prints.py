"""What a print says when it comes: the recorded price, moved by what happened here, and the depth about it.

Orders (with ``impact``) and gaps put by hand move the prices to come. Of the candles that are not played as
recorded, what was printed is kept, so that history tells what the stream told.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import schedule
from .depth import Side, shape_of
from .listing import FAR, Listing
from .matching import Segment
from .settings import ExchangeSettings


@dataclass(slots=True)
class Walk:
    """A print on its way: the segment and what the print will say."""

    listing: Listing
    segment: Segment
    volume: int
    quantity: int
    oi: int
    candle: int
    candle_print: int


class Prints:
    """Turns instants of the plan, and prices put by hand, into walks."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._shape = shape_of(settings)
        self._banded = settings.check_circuit

    def walk(self, listing: Listing, instant: schedule.Instant) -> Walk:
        """A print of the plan sets out."""
        us, _, _, price, volume, quantity, candle, candle_print = instant
        tape = listing.tape
        assert tape is not None
        end = _shifted(listing, price, candle_print) if listing.shift or listing.lasting else price
        start = listing.path or end
        segment = Segment(start, start, end, candle_print == 0 or listing.gap, listing.printed + 1, us)
        listing.gap = False
        if tape.recorded:
            listing.show(tape.book_at(candle, candle_print))
        elif self._shape is not None or listing.book is not None:
            self._show(listing, end)
        return Walk(listing, segment, volume, quantity, tape.oi_at(candle, candle_print), candle, candle_print)

    def walk_by_hand(self, listing: Listing, price: float, quantity: int, us: int, *, jump: bool) -> Walk:
        """A print that no candle holds sets out, at ``us``."""
        start = listing.path or price
        segment = Segment(start, start, price, jump, listing.printed + 1, us)
        if self._shape is not None or listing.book is not None:
            self._show(listing, price)
        volume = listing.volume - listing.by_hand
        return Walk(listing, segment, volume, quantity, listing.oi, listing.candle, listing.candle_print)

    def _show(self, listing: Listing, price: float) -> None:
        """The depth of the coming print; at a price limit nobody stands on one side."""
        if self._shape is None:
            listing.show(None)
            return
        ask_offset, bid_offset = listing.spread
        book = self._shape.book(listing.row, price, price + ask_offset, price - bid_offset, listing.printed + 1)
        lower, upper = listing.circuit() if self._banded and listing.band != FAR else (0.0, 0.0)
        if upper:
            if price >= upper:
                book.asks = Side(())
            if price <= lower:
                book.bids = Side(())
        listing.show(book)


def _shifted(listing: Listing, price: float, candle_print: int) -> float:
    """Where the print of a moved market lies; the move halves with every candle."""
    tick = listing.row.tick_size
    if candle_print == 0:
        listing.shift = listing.shift / 2 if abs(listing.shift) > tick else 0.0
    moved = listing.shift + listing.lasting
    return max(round(price + round(moved / tick) * tick, listing.row.decimals), tick)


def arrive(walk: Walk) -> None:
    """The print is there: the instrument's figures follow."""
    listing, segment = walk.listing, walk.segment
    listing.printed = segment.number
    if listing.tape is not None and walk.candle >= 0:
        _note(walk)
    listing.take_print(segment.us, segment.end, walk.volume + listing.by_hand, walk.quantity, walk.oi)
    if listing.reference is not None:
        listing.reference.note(segment.us, segment.end)
    listing.candle, listing.candle_print = walk.candle, walk.candle_print
    for order in listing.orders:
        if order.works_from > segment.us:
            order.after = segment.number


def _note(walk: Walk) -> None:
    """Keep the prints of a candle that is not played as recorded."""
    listing = walk.listing
    if walk.candle in listing.altered:
        listing.altered[walk.candle].append((walk.segment.end, walk.quantity))
    elif listing.shift or listing.lasting:
        listing.altered[walk.candle] = [
            *_played(listing, walk.candle, walk.candle_print), (walk.segment.end, walk.quantity)
        ]  # fmt: skip


def _played(listing: Listing, candle: int, count: int) -> list[tuple[float, int]]:
    """The first ``count`` prints of a candle, as recorded."""
    return listing.tape.prints(candle)[:count] if listing.tape is not None else []


def drop(listing: Listing, candle: int, candle_print: int) -> None:
    """A print of an instrument that is halted never happens."""
    listing.altered.setdefault(candle, _played(listing, candle, candle_print))
    listing.candle, listing.candle_print = candle, candle_print
    listing.gap = True


def sample(listing: Listing, instant: schedule.Instant) -> bool:
    """A print between two of a candle's four: shown only (docs/fills.md knows four); False in a moved market."""
    if listing.shift or listing.lasting:
        return False
    us, _, _, price, volume, quantity, candle, _ = instant
    assert listing.tape is not None
    listing.sample(us, price, volume + listing.by_hand, quantity, int(listing.tape.series.oi[candle]))
    return True
