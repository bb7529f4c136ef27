"""The account: money by purse, positions, holdings, and what risk management says to an order.

Blocked is what :mod:`btkite.exchange.margins` says. An exit of what is held needs nothing; what goes beyond,
and a second exit beside a working one, is a fresh order. Realised profit is usable at once
(``intraday_profit_usable``), unrealised is not counted; of delivery sales ``sale_proceeds_usable`` may be used
on the day. What a day's roll does is in :mod:`btkite.exchange.settle`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from .contract_note import Executed
from .errors import Refusal, bad_input
from .holdings import Holding
from .instruments import InstrumentRow
from .ledger import COMMODITY, EQUITY, Ledger, paise
from .listing import Listing
from .margins import Leg, exposure_of, need, segment_of, span_of, span_together
from .orders import Order
from .positions import Position
from .refusals import not_authorised
from .settings import ExchangeSettings

__all__ = ["Account", "Holding", "Position", "product_allowed"]

EQUITY_PRODUCTS = ("CNC", "MIS", "MTF")
DERIVATIVE_PRODUCTS = ("NRML", "MIS")

Key = tuple[str, str]  # EXCHANGE:SYMBOL, product


def segment_margins(cash: float, opening_balance: float, payin: float, utilised: Mapping[str, float]) -> dict[str, Any]:
    """One segment of ``/user/margins``: ``net == live_balance == cash - debits``, as in Kite's samples."""
    net = cash - utilised["debits"]
    return {
        "enabled": True,
        "net": net,
        "available": {
            "adhoc_margin": 0,
            "cash": cash,
            "opening_balance": opening_balance,
            "live_balance": net,
            "collateral": 0,
            "intraday_payin": payin,
        },
        "utilised": dict(utilised),
    }


class Account:
    """One user's money, positions and holdings. ``day`` is the trading day that is going on."""

    def __init__(self, settings: ExchangeSettings, day: date) -> None:
        self.settings = settings
        self.day = day
        opening = {EQUITY: settings.cash, COMMODITY: settings.commodity_cash or 0.0}
        self.ledger = Ledger(opening)
        self._at_open = {segment: self.ledger.exact(segment) for segment in opening}
        self.positions: dict[Key, Position] = {}
        self.holdings: dict[str, Holding] = {}
        self.auctions: dict[str, str] = {}  # EXCHANGE:SYMBOL of a holding -> number of the auction it may go to
        self.authorisations: dict[str, dict[str, int]] = {}  # requests that wait for the user
        self.executed: dict[str, Executed] = {}  # today's executed orders by id, for the contract note
        self.squared_off: set[str] = set()  # of them, the ids of those that the broker placed
        self._withheld = 1.0 - settings.sale_proceeds_usable
        self.working: Callable[[], list[Order]] = list  # the book's live orders; the venue connects it

    def add_holdings(self, holdings: Mapping[str, tuple[int, float]], listings: Mapping[str, Listing]) -> None:
        for key, (quantity, price) in holdings.items():
            self.holdings[key] = Holding(listings[key], quantity, price)

    # purses

    def purse(self, exchange: str) -> str:
        """The purse that trades on ``exchange`` are paid from."""
        return EQUITY if self.settings.commodity_cash is None else segment_of(exchange)

    @property
    def opening_balance(self) -> float:
        """Rupees of the equity purse at the day's open."""
        return self._at_open[EQUITY] / 100

    def open_day(self, day: date) -> None:
        """The balances of now are the opening balances of ``day``."""
        self.day = day
        self._at_open = {segment: self.ledger.exact(segment) for segment in (EQUITY, COMMODITY)}

    def add_cash(self, amount: float, segment: str = EQUITY, text: str = "funds added") -> None:
        """Rupees paid in (or, below zero, taken out) in the middle of the day."""
        self.ledger.post(self.day, segment, "funds", text, paise(amount))

    def set_cash(self, amount: float, segment: str = EQUITY) -> None:
        """Make the purse's cash ``amount`` rupees: a shortfall at midday, or its end."""
        self.add_cash((paise(amount) - self.ledger.exact(segment)) / 100, segment, "cash set")

    def set_available(self, amount: float, segment: str = EQUITY) -> None:
        """Make what a new order may use ``amount`` rupees."""
        self.add_cash(amount - self.usable(segment), segment, "cash set")

    # trades

    def trade(
        self, listing: Listing, product: str, buys: bool, quantity: int, price: float, order_id: str | None = None
    ) -> None:
        """Book one execution; with the order's id it is on the day's contract note."""
        self._position(listing, product).book(buys, quantity, quantity * price * listing.row.multiplier)
        self._count_used(listing.key)
        if order_id is not None:
            known = self.executed.get(order_id)
            fills = [*(known.fills if known else ()), (quantity, price)]
            security = self.settings.securities.get(listing.key, "share")
            self.executed[order_id] = Executed(listing.row, product, buys, fills, security)

    def _position(self, listing: Listing, product: str) -> Position:
        return self.positions.setdefault((listing.key, product), Position(listing, product))

    def held(self, key: str, product: str) -> int:
        """Net quantity of the day's position, signed."""
        position = self.positions.get((key, product))
        return position.quantity if position else 0

    def _count_used(self, key: str) -> None:
        holding = self.holdings.get(key)
        if holding is not None:
            holding.used = max(0, -self.held(key, "CNC"))
            holding.mtf_used = max(0, -self.held(key, "MTF"))

    def legs(self) -> list[Leg]:
        """All open derivative positions, as the margin rules see them."""
        return [one.leg() for one in self.positions.values() if one.quantity and one.listing.row.is_derivative]

    # conversion

    def convert(
        self,
        listing: Listing,
        old: str,
        new: str,
        buys: bool,
        quantity: int,
        overnight: bool,
        *,
        after_cutoff: bool = False,
    ) -> None:
        """Move part of a position to another product at its price; what that needs more must be there."""
        row = listing.row
        if old == new:
            raise bad_input("Invalid `new_product`: it is the product that the position has.")
        if "CO" in (old, new):
            raise bad_input("Cover order positions cannot be converted.")
        product_allowed(row, new)
        self._mtf_allowed(row, new)
        if new == "MIS" and after_cutoff:
            raise bad_input("Positions cannot be converted to MIS after the intraday square-off time.")
        position = self.positions.get((listing.key, old))
        if position is None or quantity <= 0 or self._convertible(position, buys, overnight) < quantity:
            raise bad_input(f"There is no {old} position of {quantity} in {row.tradingsymbol} to convert.")
        if abs(position.quantity) - self._spoken_for(position) < quantity:
            raise bad_input("Cancel the open orders that close this position before you convert it.")
        if new in ("CNC", "MTF") and not buys:
            holding = self.holdings.get(listing.key)
            free = (holding.total if holding else 0) + self.held(listing.key, "CNC")
            if free < quantity or new == "MTF":
                raise _no_shares(max(0, free), quantity)
        before = self._blocked()
        undo = [(key, copy.copy(self.positions.get(key))) for key in ((listing.key, old), (listing.key, new))]
        self._move(position, self._position(listing, new), buys, quantity, overnight)
        segment = self.purse(row.exchange)
        if self.settings.check_margin and self._blocked() > before and self.usable(segment) < 0:
            wanted = self._blocked() - before
            for key, copied in undo:
                if copied is None:
                    self.positions.pop(key, None)
                else:
                    self.positions[key] = copied
            raise _no_funds(wanted, self.usable(segment))
        self._count_used(listing.key)

    def _spoken_for(self, position: Position) -> int:
        """How much of a position working orders are about to close (sales of shares: beyond those in demat)."""
        holding = self.holdings.get(position.listing.key)
        spare = holding.total if holding is not None and position.product == "CNC" else 0
        reserved = sum(
            order.reserved
            for order in self.working()
            if order.listing is position.listing
            and order.product == position.product
            and order.buys == (position.quantity < 0)
        )
        return max(0, reserved - spare)

    def _blocked(self) -> float:
        return sum(self._debits(segment)["debits"] for segment in (EQUITY, COMMODITY))

    @staticmethod
    def _convertible(position: Position, buys: bool, overnight: bool) -> int:
        side = 1 if buys else -1
        net, carried = position.quantity * side, position.overnight * side
        left_of_carried = max(0, min(net, carried))
        return left_of_carried if overnight else net - left_of_carried

    @staticmethod
    def _move(position: Position, other: Position, buys: bool, quantity: int, overnight: bool) -> None:
        if overnight:
            other.take_carried(position, quantity if buys else -quantity)
            return
        whole, total = (
            (position.buy_quantity, position.buy_value) if buys else (position.sell_quantity, position.sell_value)
        )
        value = round(total * quantity / whole, 4)
        position.book(buys, -quantity, -value)
        other.book(buys, quantity, value)

    # money

    def debits(self) -> dict[str, float]:
        """What is used of the equity purse, in Kite's words."""
        return self._debits(EQUITY)

    def _debits(self, segment: str) -> dict[str, float]:
        """Kite's words for what is used. Its rows have no word for shares bought, intraday shares and orders
        that wait: they are in ``debits`` alone, as in its samples, where the parts do not add up to it."""
        span = exposure = premium = delivery = sold = realised = unrealised = unnamed = 0.0
        together: list[Leg] = []
        for position in self.positions.values():
            row = position.listing.row
            if self.purse(row.exchange) != segment:
                continue
            if row.is_option:
                premium -= position.cash_flow()
            elif position.pays_in_full:
                flow = self._paid(position)
                if position.quantity < 0:
                    sold -= flow
                    delivery += -position.quantity * position.average_price * self._withheld
                else:
                    unnamed -= flow
            else:
                realised -= position.cash_flow()
                unrealised -= position.unrealised()
            if position.quantity and row.is_derivative:
                leg = position.leg()
                together.append(leg)
                exposure += exposure_of(leg, self.settings)
                span += span_of(leg, self.settings)
            elif position.quantity and not position.pays_in_full:
                unnamed += self.settings.mis_margin * abs(position.quantity) * position.average_price
        if self.settings.spread_benefit:
            span = span_together(together, self.settings)
        if not self.settings.intraday_profit_usable:
            realised = max(0.0, realised)
        unnamed += sum(order.blocked for order in self.working() if self.purse(order.listing.row.exchange) == segment)
        return {
            "debits": span + exposure + premium + delivery + sold + realised + unnamed,
            "exposure": exposure,
            "m2m_realised": realised,
            "m2m_unrealised": unrealised,
            "option_premium": premium,
            "payout": 0.0,
            "span": span,
            "holding_sales": sold,
            "turnover": 0.0,
            "liquid_collateral": 0.0,
            "stock_collateral": 0.0,
            "delivery": delivery,
        }

    def _paid(self, position: Position) -> float:
        """Cash that a position in shares brought in today; of margin trading, the client's part."""
        flow = position.cash_flow()
        if position.product == "MTF" and position.quantity > 0:
            flow += self.loan_of(position)
        return flow

    def loan_of(self, position: Position) -> float:
        """Rupees of an MTF purchase of today that the broker pays."""
        return round((1 - self.settings.mtf_margin) * position.quantity * position.average_price, 2)

    @property
    def available(self) -> float:
        """Rupees of the equity purse that a new order may use."""
        return self.usable(EQUITY)

    def usable(self, segment: str) -> float:
        """Rupees that a new order may use."""
        return self.ledger.balance(segment) - self._debits(segment)["debits"]

    def margins(self) -> dict[str, Any]:
        """``/user/margins``."""
        found = {}
        for segment in (EQUITY, COMMODITY):
            cash, opening = self.ledger.balance(segment), self._at_open[segment] / 100
            payin = max(0.0, round(cash - opening, 2))
            found[segment] = segment_margins(cash, opening, payin, self._debits(segment))
        return found

    def worth(self) -> float:
        """Rupees of everything at the last prices: both purses, open positions, holdings; loans taken off."""
        money = self.ledger.balance(EQUITY) + self.ledger.balance(COMMODITY)
        money += sum(position.cash_flow() + position.unrealised() for position in self.positions.values())
        shares = sum(
            (holding.total + holding.mtf_quantity) * holding.listing.last - holding.loan
            for holding in self.holdings.values()
        )
        return round(money + shares, 4)

    # what an order needs

    def closable(self, order: Order) -> int:
        """How much of ``order`` closes what is held, after the working orders before it."""
        held = self.held(order.listing.key, order.product)
        capacity = max(0, -held) if order.buys else max(0, held)
        holding = self.holdings.get(order.listing.key)
        if not order.buys and order.product == "CNC":
            capacity = max(0, held + (holding.total if holding else 0))
        elif not order.buys and order.product == "MTF":
            capacity = max(0, held + (holding.mtf_quantity if holding else 0))
        for other in self.working():
            if (
                other is not order
                and other.listing is order.listing
                and other.product == order.product
                and other.buys == order.buys
            ):
                capacity -= other.reserved
        return max(0, min(capacity, order.pending_quantity))

    def required(self, order: Order) -> float:
        """Rupees to block for the part of ``order`` that opens a position."""
        opening = order.pending_quantity - order.reserved
        if opening <= 0:
            return 0.0
        price = order.price or max(order.trigger_price, order.listing.ask)
        leg = Leg(order.listing.row, order.product, opening if order.buys else -opening, price)
        return need(leg, self.settings).total

    def reserve(self, order: Order, *, check_margin: bool, check_holdings: bool) -> None:
        """Hold margin for ``order``, or refuse it as Kite does."""
        self._mtf_allowed(order.listing.row, order.product)
        order.reserved = self.closable(order)
        short = order.pending_quantity - order.reserved
        if not order.buys and order.product in ("CNC", "MTF"):
            if check_holdings and short > 0:
                raise _no_shares(order.reserved, order.pending_quantity)
            if self.settings.depository_authorisation and order.product == "CNC":
                self._check_authorised(order)
        order.blocked = self.required(order)
        in_book = bool(order.history)  # then its own margin is among the debits
        segment = self.purse(order.listing.row.exchange)
        available = self.usable(segment) + (order.blocked if in_book else 0.0)
        if not check_margin or not order.blocked:
            return
        if self._at_open[segment] < 0:  # nothing fresh until it is made good
            available = min(available, self.ledger.balance(segment))
        if order.blocked > available:
            raise _no_funds(order.blocked, available)

    def _mtf_allowed(self, row: InstrumentRow, product: str) -> None:
        if product == "MTF" and not self.settings.mtf:
            raise bad_input(f"Trading in {row.exchange} is not allowed using MTF product type.")

    def _check_authorised(self, order: Order) -> None:
        """Shares leave demat only with the day's authorisation; those on their way do not lie there yet."""
        holding = self.holdings.get(order.listing.key)
        if holding is None:
            return
        sold = sum(
            other.pending_quantity
            for other in self.working()
            if other is not order and other.listing is order.listing and other.product == "CNC" and not other.buys
        )
        sold += max(0, -self.held(order.listing.key, "CNC")) + order.pending_quantity
        from_demat = sold - holding.t1 - max(0, self.held(order.listing.key, "CNC"))
        if from_demat > holding.authorised:
            raise not_authorised(order.pending_quantity)


def _no_funds(wanted: float, available: float) -> Refusal:
    return Refusal(
        400,
        "MarginException",
        f"Insufficient funds. Required margin is {wanted:.2f} but available margin is {available:.2f}.",
    )


def _no_shares(free: int, wanted: int) -> Refusal:
    message = f"Insufficient holdings. Available: {free}, Requested: {wanted}"
    return Refusal(400, "HoldingException", message)


def product_allowed(row: InstrumentRow, product: str) -> None:
    """Refuse a product that the segment does not know."""
    allowed = DERIVATIVE_PRODUCTS if row.is_derivative else EQUITY_PRODUCTS
    if product not in allowed:
        if product not in ("CNC", "MIS", "NRML", "MTF", "CO"):
            raise bad_input("Invalid `product`.")
        raise bad_input(f"Trading in {row.exchange} is not allowed using {product} product type.")
