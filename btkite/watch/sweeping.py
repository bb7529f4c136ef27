"""Emptying an account: every open order of it is cancelled and every position closed, whoever made them.

For ``btkite kill --account``. It goes by Kite's books alone, under the account's lock, through a desk like any run's:
each call is written into the journal before its first byte, and nothing whose answer was lost is sent again. What is
looked at, again and again, until nothing is left or the patience is over: the order book and the positions. Holdings
and GTTs are left alone, and so is a delivery position that is a sale from holdings.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..brokers.kite import base36
from ..brokers.translate import protecting_limit
from ..clock import Bell, SystemClock
from ..config import Config
from ..errors import ConfigError, KiteError, OrderUncertain
from ..journal import AccountLock, Journal
from ..kite.desk import Cancel, Desk, Modify, Place, Request
from ..kite.failures import NOT_SENT
from ..kite.inbox import DeskReply, Inbox
from ..log import get_logger
from ..market.bands import Band
from ..market.permitted import is_stock_option, largest_order
from ..market.prices import round_limit
from ..orders.reconcile import DELIVERED
from ..values import Instrument, OrderType, OrderUpdate, Position, Proposal, Side
from .places import Place as Where

log = get_logger(__name__)
_ROUND = timedelta(seconds=0.5)
_AGAIN = timedelta(seconds=2)
"""After so long a cancellation that has not ended its order is asked for again."""
_LAG = timedelta(seconds=90)
"""So long Kite's positions may lag behind its order book."""
Slot = tuple[str, str]
Tell = Callable[[datetime, str], None]


@dataclass(slots=True)
class Closing:
    """One order of ours: ``doubt`` while nobody knows whether Kite has it."""

    slot: Slot
    tag: str
    first: float = 0.0
    moved: int = 0
    doubt: bool = True
    at: datetime = field(default_factory=lambda: datetime.min)


def sweep(
    place: Where,
    *,
    confirm: str | None,
    config: Config,
    reason: str,
    patience: timedelta = timedelta(seconds=60),
    tell: Tell | None = None,
) -> tuple[str, ...]:
    """Empty the account; what is left after ``patience`` (market time), a text each.

    :raises ConfigError: if the account was not named.
    :raises AccountLocked: if a process runs it.
    """
    from ..store import KiteStore

    if confirm != place.account:
        raise ConfigError(f"say whose account is to be emptied with --confirm {place.account}: nothing was done")
    with AccountLock(place.lock, SystemClock()):
        store = KiteStore(mode=place.mode, config=config, confirm=confirm)  # type: ignore[call-arg]  # its params
        user = str(store.profile().get("user_id", ""))
        if user != confirm:
            raise ConfigError(f"the access token is {user}'s, not {confirm}'s: log in as {confirm}")
        with Journal(place.journal, store.clock) as journal:
            one = Sweep(store, journal, tell)
            journal.append("account_killed", {"reason": reason})
            left = one.run(patience)
            journal.append("account_swept", {"left": list(left)})
        return left


class Sweep:
    """One go at an account. ``store`` is armed."""

    def __init__(self, store: Any, journal: Journal, tell: Tell | None = None) -> None:
        self._store, self._journal, self._tell = store, journal, tell
        self._client, self._clock = store.client, store.clock
        self._settings = store.config.broker
        self._inbox = Inbox()
        self._refs = 0
        self._run = base36(secrets.randbits(40), 8)
        self._cancelled: dict[str, datetime] = {}
        self._closing: dict[int, Closing] = {}
        self._said: set[str] = set()

    def run(self, patience: timedelta) -> tuple[str, ...]:
        """To the end, or until the patience is over."""
        desk = Desk(self._client, self._inbox, self._clock, self._before_send)
        bell, until = Bell(), self._clock.now() + patience
        left: tuple[str, ...] = ("nobody could read the account",)
        try:
            while True:
                try:
                    left = self._round(desk)
                except KiteError as error:
                    log.warning("the account could not be read", error=str(error))
                if not left or self._clock.now() >= until:
                    return left
                self._clock.wait(bell, self._clock.now() + _ROUND)
        finally:
            desk.stop()

    def _round(self, desk: Desk) -> tuple[str, ...]:
        for event in self._inbox.take():
            self._hear(event)
        book, positions = self._client.orders(), self._client.positions()  # which know of all that the book shows
        living = [row for row in book if not row.terminal]
        mine = self._known(book)
        now = self._clock.now()
        for row in living:
            if row.order_id in mine:
                self._follow(desk, row, self._closing[mine[row.order_id]], now)
            elif now >= self._cancelled.get(row.order_id, now):
                self._cancelled[row.order_id] = now + _AGAIN
                self._say(f"cancels {row.transaction_type} {row.quantity} {_key(row)}, order {row.order_id}")
                desk.submit(Cancel(self._ref(), row.order_id, row.variety, row.parent_order_id or None))
        held = [row for row in positions if _is_to_close(row)]
        traded = traded_by(book)
        agreed = in_step(positions, traded)
        busy = {(_key(row), row.product) for row in living} | {one.slot for one in self._closing.values() if one.doubt}
        for position in held:
            slot = (_key(position), position.product)
            left = position.quantity if slot[0] in agreed else certain(position, traded.get(slot), now)
            if slot not in busy and left:
                self._close(desk, position, left)
        orders = [f"order {row.order_id} {_key(row)}" for row in living]
        return (
            *orders,
            *(f"position {row.quantity:g} {_key(row)} {row.product}" for row in held),
            *unseen(positions, traded, now),
        )

    def _known(self, book: Iterable[OrderUpdate]) -> dict[str, int]:
        """Ids of our own orders, by their tags; none of them is in doubt any more."""
        tags = {one.tag: ref for ref, one in self._closing.items()}
        found = {row.order_id: tags[row.tag] for row in book if row.tag in tags}
        for ref in found.values():
            self._closing[ref].doubt = False
        return found

    def _hear(self, event: Any) -> None:
        if not isinstance(event, DeskReply):
            return
        one = self._closing.get(event.ref)
        if event.error is not None:
            log.warning("request failed", action=event.action, ref=event.ref, reason=str(event.error))
            self._journal.append("account_answer", {"ref": event.ref, "error": str(event.error)})
        if event.action != "place" or one is None:
            return
        lost = isinstance(event.error, OrderUncertain) and event.error.error_type != NOT_SENT
        if event.error is not None and not lost:  # a clear no: there is no such order
            del self._closing[event.ref]

    def _before_send(self, request: Request) -> str | None:
        """The desk's thread, right before the first byte."""
        facts: dict[str, Any] = {"action": request.action, "ref": request.ref, "order_id": request.order_id}
        if isinstance(request, Place):
            wanted = request.proposal
            facts |= {"symbol": wanted.instrument.key, "side": wanted.side, "quantity": wanted.quantity}
            facts |= {"product": wanted.product, "tag": wanted.tag, "type": wanted.order_type}
        self._journal.append("account_sending", facts)
        return None

    # -- closing ------------------------------------------------------------------------------------------

    def _close(self, desk: Desk, position: Position, units: int) -> None:
        instrument = self._store.instrument(_key(position))
        side, left = Side.SELL if units > 0 else Side.BUY, abs(units)
        most = largest_order(instrument, self._clock.now().date()) or left
        kind, price = self._how(instrument, side)
        self._say(f"closes {units:g} {_key(position)} ({position.product})")
        while left:
            ref, some = self._ref(), min(left, most)
            left -= some
            tag = f"kill{self._run}{base36(ref, 6)}"
            self._closing[ref] = Closing((_key(position), position.product), tag, at=self._clock.now())
            wanted = Proposal(
                ref, instrument, side, some, kind, position.product, "regular", price=price, tag=tag, reduces=True,
                market_protection=float(self._settings.market_protection) if kind is OrderType.MARKET else None,
            )  # fmt: skip
            desk.submit(Place(ref, wanted))

    def _how(self, instrument: Instrument, side: Side) -> tuple[OrderType, float]:
        """At market; in an option on a share, which Kite does not take so, with the limit that would protect it."""
        if not is_stock_option(instrument):
            return OrderType.MARKET, 0.0
        last = float(self._client.ltp(instrument.key)[instrument.key]["last_price"])
        named = float(self._settings.market_protection)
        return OrderType.LIMIT, protecting_limit(instrument, last, named, buys=side is Side.BUY)

    def _follow(self, desk: Desk, row: OrderUpdate, one: Closing, now: datetime) -> None:
        """A closing order that rests is moved after the market, as far as the day's band goes."""
        if not row.price or now - one.at < timedelta(seconds=self._settings.widen_after):
            return
        instrument, side = self._store.instrument(_key(row)), Side(row.transaction_type)
        quote = self._client.quote(instrument.key)[instrument.key]
        last, band = float(quote["last_price"]), Band.of(quote, 0)
        one.at, one.first = now, one.first or row.price
        far, most = (
            start * (1 + side.sign * percent / 100)
            for start, percent in (
                (last, (one.moved + 1) * self._settings.widen_step), (one.first, self._settings.widen_most),
            )
        )  # fmt: skip
        limit = min(far, most) if side is Side.BUY else max(far, most)
        limit = round_limit(limit, instrument.tick_size, side) if instrument.tick_size else limit
        limit = band.within(limit) if band is not None else limit
        if (limit - row.price) * side.sign <= 0:
            where = ", where the day's band ends" if band is not None and row.price in (band.lower, band.upper) else ""
            self._say(
                f"{_key(row)} cannot be closed now: order {row.order_id} rests at {row.price:g}{where}", once=True
            )
            return
        one.moved += 1
        changes = {"quantity": row.quantity, "order_type": OrderType.LIMIT.value, "price": limit}
        desk.submit(Modify(self._ref(), row.order_id, changes, row.variety))

    def _ref(self) -> int:
        self._refs += 1
        return self._refs

    def _say(self, line: str, *, once: bool = False) -> None:
        if once and line in self._said:
            return
        self._said.add(line)
        log.warning(line)
        if self._tell is not None:
            self._tell(self._clock.now(), line)


def _key(row: OrderUpdate | Position) -> str:
    return f"{row.exchange}:{row.tradingsymbol}"


@dataclass(slots=True)
class Traded:
    """What the day's order book has traded in one instrument and product: units, signed, and when last."""

    units: int = 0
    last: datetime = datetime.min


def traded_by(book: Iterable[OrderUpdate]) -> dict[Slot, Traded]:
    found: dict[Slot, Traded] = {}
    for row in book:
        if row.filled_quantity:
            one = found.setdefault((_key(row), row.product), Traded())
            one.units += Side(row.transaction_type).sign * row.filled_quantity
            one.last = max(one.last, *(at for at in (row.exchange_time, row.order_time) if at is not None))
    return found


def certain(position: Position, traded: Traded | None, now: datetime) -> int:
    """What may be closed of a position that Kite shows. Shortly after a trade it may lag behind the order book, and
    nothing is to be sold twice: what both say."""
    if traded is None or now - traded.last >= _LAG:
        return position.quantity
    by_book = position.overnight_quantity + traded.units
    if position.quantity * by_book <= 0:
        return 0
    return min(position.quantity, by_book) if by_book > 0 else max(position.quantity, by_book)


def in_step(positions: Iterable[Position], traded: Mapping[Slot, Traded]) -> set[str]:
    """Instruments in which both books agree, whatever was converted from one product to another: no trade does that."""
    gaps: dict[str, int] = {}
    for row in positions:
        gaps[_key(row)] = gaps.get(_key(row), 0) + row.quantity - row.overnight_quantity
    for (key, _), one in traded.items():
        gaps[key] = gaps.get(key, 0) - one.units
    return {key for key, gap in gaps.items() if not gap}


def unseen(positions: Iterable[Position], traded: Mapping[Slot, Traded], now: datetime) -> list[str]:
    """What the order book has just opened or closed, and the positions do not show: a text each."""
    shown = {(_key(row), row.product): row for row in positions}
    agreed, found = in_step(shown.values(), traded), []
    for (key, product), one in traded.items():
        row = shown.get((key, product))
        ours = one.units + (row.overnight_quantity if row is not None else 0)
        theirs = row.quantity if row is not None else 0
        from_holdings = ours < 0 and product in DELIVERED
        if key not in agreed and not theirs and ours and not from_holdings and now - one.last < _LAG:
            found.append(f"position {ours:g} {key} {product}, which Kite's positions do not show yet")
    return found


def _is_to_close(row: Position) -> bool:
    return row.quantity > 0 or (row.quantity < 0 and row.product not in DELIVERED)
