"""The account: positions by Kite's formulas, holdings, and a plain margin ledger.

Positions follow the formulas verified on Kite's own samples (average of the whole side, not FIFO;
``unrealised == pnl`` and ``realised == 0`` in every row). The margin model is simple and stated: CNC and
MTF pay in full, MIS equity blocks a fifth, futures and short options 15 % of the contract's (the
strike's) value, a bought option pays its premium; realised profit is usable at once, unrealised is not
counted; of delivery sales ``sale_proceeds_usable`` may be used on the day. No charges are taken, and
intraday positions are not squared off by the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import Refusal, bad_input
from .instruments import InstrumentRow
from .listing import Listing
from .orders import Order

EQUITY_PRODUCTS = ("CNC", "MIS", "MTF")
DERIVATIVE_PRODUCTS = ("NRML", "MIS")
MIS_RATE = 0.2
DERIVATIVE_RATE = 0.15

Key = tuple[str, str]  # EXCHANGE:SYMBOL, product


class Position:
    """One row of positions. Quantities are signed only in ``overnight``; values in rupees."""

    __slots__ = (
        "buy_quantity",
        "buy_value",
        "close_price",
        "listing",
        "overnight",
        "overnight_price",
        "product",
        "sell_quantity",
        "sell_value",
    )

    def __init__(self, listing: Listing, product: str) -> None:
        self.listing = listing
        self.product = product
        self.overnight = 0
        self.overnight_price = 0.0
        self.close_price = 0.0
        self.buy_quantity = 0
        self.buy_value = 0.0
        self.sell_quantity = 0
        self.sell_value = 0.0

    @property
    def quantity(self) -> int:
        """Net, signed."""
        return self.overnight + self.buy_quantity - self.sell_quantity

    def sides(self) -> tuple[int, float, int, float]:
        """Quantity and value bought, quantity and value sold, the overnight leg included."""
        carried = abs(self.overnight) * self.overnight_price * self.listing.row.multiplier
        if self.overnight > 0:
            return self.buy_quantity + self.overnight, self.buy_value + carried, self.sell_quantity, self.sell_value
        return self.buy_quantity, self.buy_value, self.sell_quantity - self.overnight, self.sell_value + carried

    @property
    def average_price(self) -> float:
        """Rupees; the plain average of the open side."""
        bought, bought_value, sold, sold_value = self.sides()
        if self.quantity == 0:
            return 0.0
        value, count = (bought_value, bought) if self.quantity > 0 else (sold_value, sold)
        return value / count / self.listing.row.multiplier

    @property
    def realised(self) -> float:
        """Rupees made or lost on what is closed."""
        bought, bought_value, sold, sold_value = self.sides()
        closed = min(bought, sold)
        return closed * (sold_value / sold - bought_value / bought) if closed else 0.0

    @property
    def pays_in_full(self) -> bool:
        """Cash moves at once (delivery, options), instead of a margin."""
        return self.product in ("CNC", "MTF") or self.listing.row.is_option

    def cash_flow(self) -> float:
        """Rupees that today's trades brought in."""
        return self.sell_value - self.buy_value if self.pays_in_full else self.realised

    def margin(self) -> float:
        """Rupees blocked for it overnight or in the day."""
        quantity = self.quantity
        if not quantity:
            return 0.0
        row = self.listing.row
        if row.is_option:
            return DERIVATIVE_RATE * row.strike * -quantity * row.multiplier if quantity < 0 else 0.0
        if self.pays_in_full:
            return 0.0
        rate = DERIVATIVE_RATE if row.is_derivative else MIS_RATE
        return rate * abs(quantity) * self.average_price * row.multiplier

    def row(self, *, day_only: bool = False) -> dict[str, Any]:
        """Kite's row; ``day_only`` is the one of the ``day`` list, without the overnight leg."""
        if day_only:
            today = Position(self.listing, self.product)
            today.buy_quantity, today.buy_value = self.buy_quantity, self.buy_value
            today.sell_quantity, today.sell_value = self.sell_quantity, self.sell_value
            today.close_price = self.close_price
            return today.row()
        instrument = self.listing.row
        units = instrument.multiplier
        bought, bought_value, sold, sold_value = self.sides()
        net, last = self.quantity, self.listing.path
        carried = abs(self.overnight) * self.close_price * units
        buy_m2m = self.buy_value + (carried if self.overnight > 0 else 0.0)
        sell_m2m = self.sell_value + (carried if self.overnight < 0 else 0.0)
        worth = net * last * units
        pnl = sold_value - bought_value + worth
        return {
            "tradingsymbol": instrument.tradingsymbol,
            "exchange": instrument.exchange,
            "instrument_token": instrument.instrument_token,
            "product": self.product,
            "quantity": net,
            "overnight_quantity": self.overnight,
            "multiplier": units,
            "average_price": self.average_price,
            "close_price": self.close_price,
            "last_price": last,
            "value": sold_value - bought_value,
            "pnl": pnl,
            "m2m": sell_m2m - buy_m2m + worth,
            "unrealised": pnl,
            "realised": 0,
            "buy_quantity": bought,
            "buy_price": _each(bought_value, bought, units),
            "buy_value": bought_value,
            "buy_m2m": buy_m2m,
            "sell_quantity": sold,
            "sell_price": _each(sold_value, sold, units),
            "sell_value": sold_value,
            "sell_m2m": sell_m2m,
            "day_buy_quantity": self.buy_quantity,
            "day_buy_price": _each(self.buy_value, self.buy_quantity, units),
            "day_buy_value": self.buy_value,
            "day_sell_quantity": self.sell_quantity,
            "day_sell_price": _each(self.sell_value, self.sell_quantity, units),
            "day_sell_value": self.sell_value,
        }


def _each(value: float, quantity: int, units: float) -> float:
    return value / quantity / units if quantity else 0.0


class Holding:
    """Shares in the demat account. ``t1`` were bought on the trading day before."""

    __slots__ = ("average_price", "listing", "quantity", "t1", "used")

    def __init__(self, listing: Listing, quantity: int, average_price: float) -> None:
        self.listing = listing
        self.quantity = quantity
        self.t1 = 0
        self.used = 0
        self.average_price = average_price

    def row(self) -> dict[str, Any]:
        instrument, last, close = self.listing.row, self.listing.last, self.listing.previous_close
        change = last - close if close else 0.0
        return {
            "tradingsymbol": instrument.tradingsymbol,
            "exchange": instrument.exchange,
            "instrument_token": instrument.instrument_token,
            "isin": "",
            "product": "CNC",
            "price": 0,
            "quantity": self.quantity,
            "used_quantity": self.used,
            "t1_quantity": self.t1,
            "realised_quantity": self.quantity,
            "authorised_quantity": 0,
            "authorised_date": "",
            "authorisation": {},
            "opening_quantity": self.quantity + self.t1,
            "short_quantity": 0,
            "collateral_quantity": 0,
            "collateral_type": "",
            "discrepancy": False,
            "average_price": self.average_price,
            "last_price": last,
            "close_price": close,
            "pnl": (last - self.average_price) * (self.quantity + self.t1),
            "day_change": change,
            "day_change_percentage": change / close * 100 if close else 0.0,
            "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
        }


class Account:
    """One user's money, positions and holdings."""

    def __init__(self, cash: float, sale_proceeds_usable: float) -> None:
        self.opening_balance = float(cash)
        self.positions: dict[Key, Position] = {}
        self.holdings: dict[str, Holding] = {}
        self._withheld = 1.0 - sale_proceeds_usable
        self.working: Callable[[], list[Order]] = list  # the book's live orders; the venue connects it

    def add_holdings(self, holdings: Mapping[str, tuple[int, float]], listings: Mapping[str, Listing]) -> None:
        for key, (quantity, price) in holdings.items():
            self.holdings[key] = Holding(listings[key], quantity, price)

    # trades

    def trade(self, listing: Listing, product: str, buys: bool, quantity: int, price: float) -> None:
        """Book one execution."""
        position = self._position(listing, product)
        value = quantity * price * listing.row.multiplier
        if buys:
            position.buy_quantity += quantity
            position.buy_value += value
        else:
            position.sell_quantity += quantity
            position.sell_value += value
        self._count_used(listing.key)

    def _position(self, listing: Listing, product: str) -> Position:
        return self.positions.setdefault((listing.key, product), Position(listing, product))

    def _count_used(self, key: str) -> None:
        holding, position = self.holdings.get(key), self.positions.get((key, "CNC"))
        if holding is not None:
            holding.used = max(0, -position.quantity) if position else 0

    def convert(self, listing: Listing, old: str, new: str, buys: bool, quantity: int, overnight: bool) -> None:
        """Move part of a position from one product to another at its average price."""
        position = self.positions.get((listing.key, old))
        side = 1 if buys else -1
        held = 0
        if position is not None:
            held = position.overnight if overnight else position.quantity - position.overnight
        if position is None or quantity <= 0 or held * side < quantity:
            raise bad_input(f"There is no {old} position of {quantity} in {listing.row.tradingsymbol} to convert.")
        product_allowed(listing.row, new)
        price = position.average_price
        if overnight:
            position.overnight -= side * quantity
        elif buys:
            position.buy_quantity -= quantity
            position.buy_value -= quantity * price * listing.row.multiplier
        else:
            position.sell_quantity -= quantity
            position.sell_value -= quantity * price * listing.row.multiplier
        self.trade(listing, new, buys, quantity, price)
        self._count_used(listing.key)

    # money

    def debits(self) -> dict[str, float]:
        """What is used of the opening balance, in Kite's words."""
        span = premium = delivery = realised = turnover = unrealised = 0.0
        for position in self.positions.values():
            span += position.margin()
            if position.listing.row.is_option:
                premium -= position.cash_flow()
            elif position.pays_in_full:
                turnover -= position.cash_flow()
                if position.quantity < 0:
                    delivery += -position.quantity * position.average_price * self._withheld
            else:
                realised -= position.cash_flow()
                unrealised -= position.row()["pnl"] - position.realised
        blocked = sum(order.blocked for order in self.working())
        return {
            "debits": span + premium + delivery + turnover + realised + blocked,
            "exposure": blocked,
            "m2m_realised": realised,
            "m2m_unrealised": unrealised,
            "option_premium": premium,
            "payout": 0.0,
            "span": span,
            "holding_sales": 0.0,
            "turnover": turnover,
            "liquid_collateral": 0.0,
            "stock_collateral": 0.0,
            "delivery": delivery,
        }

    @property
    def available(self) -> float:
        """Rupees that a new order may use."""
        return self.opening_balance - self.debits()["debits"]

    def margins(self) -> dict[str, Any]:
        """``/user/margins``: all money is in the equity segment."""
        return {
            "equity": self._segment(self.opening_balance, self.debits()),
            "commodity": self._segment(0.0, dict.fromkeys(self.debits(), 0.0)),
        }

    @staticmethod
    def _segment(cash: float, utilised: dict[str, float]) -> dict[str, Any]:
        net = cash - utilised["debits"]
        return {
            "enabled": True,
            "net": net,
            "available": {
                "adhoc_margin": 0,
                "cash": cash,
                "opening_balance": cash,
                "live_balance": net,
                "collateral": 0,
                "intraday_payin": 0,
            },
            "utilised": utilised,
        }

    # what an order needs

    def closable(self, order: Order) -> int:
        """How much of ``order`` closes what is held, after the working orders before it."""
        position = self.positions.get((order.listing.key, order.product))
        held = position.quantity if position else 0
        capacity = max(0, -held) if order.buys else max(0, held)
        if not order.buys and order.product == "CNC":
            holding = self.holdings.get(order.listing.key)
            capacity = max(0, held + (holding.quantity + holding.t1 if holding else 0))
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
        row = order.listing.row
        price = order.price or max(order.trigger_price, order.listing.ask)
        units = opening * row.multiplier
        if row.is_option:
            return units * price if order.buys else DERIVATIVE_RATE * row.strike * units
        if row.is_derivative:
            return DERIVATIVE_RATE * price * units
        if order.product == "MIS":
            return MIS_RATE * price * units
        return price * units if order.buys else 0.0

    def reserve(self, order: Order, *, check_margin: bool, check_holdings: bool) -> None:
        """Hold margin for ``order``, or refuse it as Kite does."""
        order.reserved = self.closable(order)
        short = order.pending_quantity - order.reserved
        if check_holdings and order.product == "CNC" and not order.buys and short > 0:
            message = f"Insufficient holdings. Available: {order.reserved}, Requested: {order.pending_quantity}"
            raise Refusal(400, "HoldingException", message)
        order.blocked = self.required(order)
        in_book = bool(order.history)  # then its own margin is among the debits
        available = self.available + (order.blocked if in_book else 0.0)
        if check_margin and order.blocked > available:
            message = (
                f"Insufficient funds. Required margin is {order.blocked:.2f} but available margin is {available:.2f}."
            )
            raise Refusal(400, "MarginException", message)

    # the day

    def roll(self) -> None:
        """A new trading day: trades settle, delivery goes to the holdings, the rest is carried."""
        for holding in self.holdings.values():
            holding.quantity += holding.t1
            holding.t1 = holding.used = 0
        carried: dict[Key, Position] = {}
        for key, position in self.positions.items():
            self.opening_balance += position.cash_flow()
            quantity = position.quantity
            if quantity and position.product == "CNC":
                self._deliver(position)
            elif quantity:
                kept = Position(position.listing, position.product)
                kept.overnight = quantity
                kept.overnight_price = position.average_price
                kept.close_price = position.listing.last
                carried[key] = kept
        self.positions = carried
        self.holdings = {key: holding for key, holding in self.holdings.items() if holding.quantity or holding.t1}

    def _deliver(self, position: Position) -> None:
        listing, quantity = position.listing, position.quantity
        holding = self.holdings.setdefault(listing.key, Holding(listing, 0, 0.0))
        if quantity > 0:
            total = holding.quantity + holding.t1
            cost = total * holding.average_price + quantity * position.average_price
            holding.average_price = cost / (total + quantity)
            holding.t1 += quantity
        else:
            holding.quantity += quantity


def product_allowed(row: InstrumentRow, product: str) -> None:
    """Refuse a product that the segment does not know."""
    allowed = DERIVATIVE_PRODUCTS if row.is_derivative else EQUITY_PRODUCTS
    if product not in allowed:
        if product not in ("CNC", "MIS", "NRML", "MTF", "CO"):
            raise bad_input("Invalid `product`.")
        raise bad_input(f"Trading in {row.exchange} is not allowed using {product} product type.")
