"""The market's day as its instruments live it: who takes orders now, who trades, auctions, breaks and halts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import auctions, schedule
from .agenda import Action
from .clock import DAY, SECOND, day_from_number
from .errors import BadSettings
from .halts import EQUITY_EXCHANGES, Halts, breaker_minutes
from .listing import Listing
from .orders import Order
from .timetable import MATCH_AFTER, TAKES_ORDERS, Phase, Timetable, auction_shares, class_of, timetable

if TYPE_CHECKING:
    from .market import Market
    from .settings import ExchangeSettings


class Phases:
    """Timetables of the day by class of instrument, and what is halted."""

    def __init__(self, market: Market, settings: ExchangeSettings) -> None:
        self._market = market
        self._settings = settings
        self._shares = auction_shares((listing.row for listing in market.listings.values()), settings)
        self._classes = {listing.key: class_of(listing.row, self._shares) for listing in market.listings.values()}
        self._tables: dict[tuple[int, str, str, bool], Timetable] = {}
        self._halts = Halts()
        self.any_halt = False
        self._timed = settings.pre_open or settings.closing_auction or settings.split_sessions
        if self._timed:
            market.every_day(self._lay_out)

    # what holds now

    def table(self, listing: Listing, day: int) -> Timetable:
        """The phases of an instrument on ``day`` (a day number)."""
        exchange, of = listing.row.exchange, self._classes[listing.key]
        auction = True
        if listing.key in self._shares:
            plain = self._table(day, exchange, of, True)
            auction = plain.auction is None or not auctions.trades_on(listing, day, plain.auction)
        return self._table(day, exchange, of, auction)

    def _table(self, day: int, exchange: str, of: str, auction: bool) -> Timetable:
        key = day, exchange, of, auction
        if key not in self._tables:
            if len(self._tables) > 200:
                self._tables.clear()
            session = self._market.session(exchange, day * DAY)
            played = None
            if session is not None:
                played = (session[0] - day * DAY) // SECOND, (session[1] - day * DAY) // SECOND
            self._tables[key] = timetable(exchange, of, day_from_number(day), played, self._settings, auction=auction)
        return self._tables[key]

    def now(self, listing: Listing) -> Phase:
        """The phase of an instrument now."""
        us = self._market.now
        phase = self.table(listing, us // DAY).at(us % DAY / SECOND)
        if phase is Phase.OPEN and self.halted(listing):
            return Phase.HALTED
        return phase

    def takes_orders(self, listing: Listing) -> bool:
        """True if an order may be placed that is no after-market order."""
        if not self._timed:
            return self._market.is_open(listing.row.exchange)
        return self.now(listing) in TAKES_ORDERS

    def check(self, order: Order) -> None:
        """Refuse what the present phase does not take."""
        if self.halted(order.listing) and self._settings.halted_orders == "reject":
            raise auctions.halted()
        self.check_auction(order)

    def check_auction(self, order: Order) -> None:
        """Refuse what an auction that is on does not take, as an order or as the change of one."""
        if not self._timed:
            return
        listing, day = order.listing, self._market.now // DAY
        begin = self.table(listing, day).auction
        reference = auctions.reference_price(listing, day, begin) if begin is not None else 0.0
        auctions.check(order, self.now(listing), reference)

    def has_auction(self, listing: Listing) -> bool:
        """True for a share of the closing auction."""
        return listing.key in self._shares

    def halted(self, listing: Listing) -> bool:
        """True if an instrument is halted."""
        return bool(self._halts) and self._halts.holds(listing.row.exchange, listing.key)

    def still(self, listing: Listing) -> bool:
        """True if nothing trades on a print of now: an auction, a break or a halt."""
        return self.halted(listing) or (self._timed and self.now(listing) is not Phase.OPEN)

    # halts

    def halt(self, target: str = "", *, minutes: float | None = None, purge: bool = False) -> None:
        """Stop ``EXCHANGE:SYMBOL``, an exchange, or everything (``""``), for ``minutes`` or until :meth:`resume`.

        ``purge`` cancels what rests there. Raises BadSettings for a name that is not listed.
        """
        self._check_name(target)
        self._halts.names.add(target)
        self.any_halt = True
        if purge:
            self._market.expire([listing for listing in self._market.listings.values() if self.halted(listing)])
        if minutes is not None:
            self._market.at(self._market.now + round(minutes * 60) * SECOND, lambda us: self.resume(target))

    def resume(self, target: str = "") -> None:
        """Trade again; the next print is a jump."""
        self._check_name(target)
        self._halts.names.discard(target)
        self.any_halt = bool(self._halts)

    def break_circuit(self, level: int) -> int | None:
        """The market-wide breaker of 10, 15 or 20 per cent, now: minutes of the halt; None: rest of the day."""
        minutes = breaker_minutes(level, self._market.now % DAY // SECOND)
        for exchange in EQUITY_EXCHANGES if minutes != 0 else ():
            if exchange in {listing.row.exchange for listing in self._market.listings.values()}:
                self.halt(exchange, minutes=minutes, purge=self._settings.breaker_purges)
        return minutes

    def _check_name(self, target: str) -> None:
        listings = self._market.listings
        if target and target not in listings and target not in {one.row.exchange for one in listings.values()}:
            raise BadSettings(f"{target} is not listed here: name EXCHANGE:SYMBOL, an exchange, or nothing for all")

    def roll(self) -> None:
        """A new day: what was halted for the rest of the day trades again."""
        self._halts.names.clear()
        self.any_halt = False

    # auctions and breaks

    def _lay_out(self, day: int) -> Iterable[tuple[int, Action]]:
        """The appointments of ``day``; they are made here, since their ranks differ."""
        market, since = self._market, self._market.now
        groups: dict[Timetable, list[Listing]] = {}
        for listing in market.listings.values():
            groups.setdefault(self.table(listing, day), []).append(listing)
        for table, listings in groups.items():
            plans: list[tuple[int, Action, int]] = []
            if table.pre_open_match is not None:
                plans.append((table.pre_open_match, lambda us, of=listings: self._open(of, us), schedule.NOTICE))  # type: ignore[misc]
            for end in table.breaks:
                plans.append((end, lambda us, of=listings: market.expire(of), schedule.CLOSE))  # type: ignore[misc]
            if table.auction is not None:
                begin = table.auction
                plans.append((begin, lambda us, of=listings: self._end_continuous(of), schedule.CLOSE))  # type: ignore[misc]
                plans.append(
                    (
                        begin + MATCH_AFTER,
                        lambda us, of=listings, at=begin: self._close(of, us, at),  # type: ignore[misc]
                        schedule.ROLL,
                    )
                )
            for second, action, rank in plans:
                us = day * DAY + second * SECOND
                if us >= since:
                    market.at(us, action, rank=rank)
        return ()

    def _open(self, listings: list[Listing], us: int) -> bool:
        """The end of the pre-open: those who accept the day's opening price trade at it."""
        changed = False
        for listing in listings:
            price = auctions.opening_price(listing, us // DAY)
            if price and not listing.row.is_index and not self.halted(listing):
                changed |= self._match(listing, price, us)
        return changed

    def _end_continuous(self, listings: list[Listing]) -> bool:
        """Stops and disclosed quantities do not go into the auction."""
        return self._market.expire(
            listings, lambda order: order.is_stop or bool(order.disclosed_quantity) or bool(order.iceberg)
        )

    def _close(self, listings: list[Listing], us: int, begin: int) -> bool:
        """The closing auction; what it leaves is cancelled."""
        changed = False
        for listing in listings:
            price = auctions.closing_price(listing, us // DAY, begin)
            if price and not self.halted(listing):
                changed |= self._match(listing, price, us)
        return self._market.expire(listings) or changed

    def _match(self, listing: Listing, price: float, us: int) -> bool:
        market = self._market
        listing.printed += 1  # whoever arrives now meets the first print of the continuous session
        events = auctions.matches(listing.orders, price, us)
        listing.pass_through(price)
        for event in events:
            market.carry_out(event, listing)
        listing.take_print(us, price, listing.volume, 0, listing.oi)
        market.tell(listing)
        return bool(events)
