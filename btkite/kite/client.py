"""What may be asked of Kite over REST: the session, market data, the books, orders, calculators, triggers.

Each call goes through :class:`~btkite.kite.door.Door`. Candles and the instruments dump are read as columns
instead of row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, KiteUnavailable, RuleViolation
from ..log import register_secret
from ..values import OrderType, OrderUpdate, Position, Proposal, Source, Trade
from . import endpoints
from .door import Door
from .failures import BAD_ANSWER
from .forms import (
    MODIFIABLE,
    PROTECTED,
    check_protection,
    margin_row,
    order_fields,
    plain,
    read_order_id,
    read_placed,
    read_trade,
    stamp,
)
from .frames import order_update
from .pace import Lane
from .secret import redact
from .tables import Candles, candle_columns, instrument_columns, instrument_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

QUOTE_KEYS = {"quote": 500, "ohlc": 1000, "ltp": 1000}  # per call


class KiteClient(Door):
    """Kite's REST interface for one account.

    Params:
      - ``endpoint``: where Kite is (:mod:`btkite.kite.endpoints`)
      - ``armed``: only an armed client sends orders; others refuse them before the wire
      - ``timeout``: seconds for each answer
      - ``ipv4``: connect over IPv4 only: Kite checks the address that orders come from, and an
        operating system that prefers IPv6 silently uses another one
      - ``proxy``: an HTTP proxy that connects us, see :mod:`btkite.kite.network`
      - ``pace``: share one between the clients of an account
      - ``debug``: log each call (never its secrets)
    """

    # -- the session ---------------------------------------------------------------------------

    def login(self, request_token: str, api_secret: str) -> dict[str, Any]:
        """Exchange a request token for a session and use its access token.

        Returns Kite's session object (``access_token``, ``user_id``, ``login_time`` …).
        """
        register_secret(request_token)
        register_secret(api_secret)
        try:
            session = dict(self._kite.generate_session(request_token, api_secret))
            self.set_token(str(session["access_token"]))
        except (KeyError, TypeError, ValueError) as error:
            # kiteconnect reads the answer itself, outside of _request.
            raise KiteUnavailable(
                f"Kite's answer to the login lacks {redact(error)}", code=200, error_type=BAD_ANSWER
            ) from None
        self.user_id = str(session.get("user_id") or self.user_id)
        return session

    def logout(self) -> None:
        """Kill the access token at Kite (Kite web and app stay logged in)."""
        self._kite.invalidate_access_token()

    def ask_for(self, access_token: str) -> None:
        """Ask Kite, once and on a connection of its own, whether it takes this token for our account.

        Raises:
            SessionExpired: it does not.
            ConfigError: it does, and the token is of another account.
            KiteUnavailable: nobody knows.
        """
        other = KiteClient(
            self.endpoint,
            self.api_key,
            access_token,
            clock=self._clock,
            timeout=self._timeout,
            ipv4=self._ipv4,
            proxy=self._proxy,
            pace=self.pace,
            attempts=1,
        )
        try:
            user = str(other.profile().get("user_id") or "")
        finally:
            other.close()
        if user and self.user_id and user != self.user_id:
            raise ConfigError(f"the new access token is of user {user}, not of {self.user_id}: log in as the latter")

    def profile(self) -> dict[str, Any]:
        return dict(self._kite.profile())

    def margins(self, segment: str | None = None) -> dict[str, Any]:
        """Margins of both segments, or of ``equity`` or ``commodity``; the balance to trust is ``net``."""
        return dict(self._kite.margins(segment))

    # -- market data ---------------------------------------------------------------------------

    def quote(self, *keys: str | Iterable[str]) -> dict[str, Any]:
        """Full quotes by ``EXCHANGE:TRADINGSYMBOL``. Unknown keys are absent from the result."""
        return self._quotes("quote", "market.quote", keys)

    def ohlc(self, *keys: str | Iterable[str]) -> dict[str, Any]:
        return self._quotes("ohlc", "market.quote.ohlc", keys)

    def ltp(self, *keys: str | Iterable[str]) -> dict[str, Any]:
        return self._quotes("ltp", "market.quote.ltp", keys)

    def historical(
        self,
        token: int,
        start: datetime | date,
        end: datetime | date,
        interval: str,
        *,
        continuous: bool = False,
        oi: bool = False,
    ) -> Candles:
        """Candles whose start lies in ``start`` … ``end``, both included, naive IST.

        ``interval`` is Kite's word (``minute`` … ``day``); the span must be within Kite's limit for
        it. The last candle may still be forming.
        """
        data = self._kite._get(
            "market.historical",
            url_args={"instrument_token": token, "interval": interval},
            params={
                "from": stamp(start),
                "to": stamp(end),
                "interval": interval,
                "continuous": int(continuous),
                "oi": int(oi),
            },
        )
        try:
            return candle_columns(data["candles"] or ())
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise KiteUnavailable(
                f"the candles of {token} {interval} could not be read: {type(error).__name__}",
                code=200,
                error_type=BAD_ANSWER,
            ) from None

    def instruments(self, exchange: str | None = None) -> pd.DataFrame:
        """The instruments dump, of one exchange or whole (about 100,000 rows), in Kite's columns."""
        table: pd.DataFrame = self._instruments(exchange, instrument_table)
        return table

    def dump(self, exchange: str | None = None) -> pa.Table:
        """The same as Arrow's columns, which take less time; ``expiry`` is a date."""
        return self._instruments(exchange, instrument_columns)

    def _instruments(self, exchange: str | None, read: Callable[[bytes], Any]) -> Any:
        if exchange:
            text = self._kite._get("market.instruments", url_args={"exchange": exchange})
        else:
            text = self._kite._get("market.instruments.all")
        try:
            return read(text)
        except (KeyError, TypeError, ValueError) as error:
            raise KiteUnavailable(
                f"the instruments dump could not be read: {redact(error)}", code=200, error_type=BAD_ANSWER
            ) from None

    # -- the book ------------------------------------------------------------------------------

    def orders(self) -> list[OrderUpdate]:
        """The day's order book."""
        return self._updates("orders")

    def order_history(self, order_id: str) -> list[OrderUpdate]:
        """The states of one order, oldest first: the only ordered and complete account of it."""
        return self._updates("order.info", {"order_id": order_id})

    def trades(self) -> list[Trade]:
        """The day's trades."""
        return [read_trade(row) for row in self._rows("trades")]

    def order_trades(self, order_id: str) -> list[Trade]:
        return [read_trade(row) for row in self._rows("order.trades", {"order_id": order_id})]

    def positions(self) -> list[Position]:
        """Net positions, flat ones of the day included (``call("positions")`` gives Kite's rows)."""
        return [
            Position(
                exchange=str(row["exchange"]),
                tradingsymbol=str(row["tradingsymbol"]),
                product=str(row["product"]),
                quantity=int(row["quantity"]),
                average_price=float(row["average_price"]),
                overnight_quantity=int(row.get("overnight_quantity") or 0),
                multiplier=float(row.get("multiplier") or 1),
            )
            for row in self._kite.positions()["net"]
        ]

    def holdings(self) -> list[dict[str, Any]]:
        """Kite's holdings rows."""
        return self._rows("portfolio.holdings")

    # -- orders --------------------------------------------------------------------------------

    def place(self, proposal: Proposal, *, paced: bool = False) -> str:
        """Place one order; returns its id (of the parent, if Kite sliced it).

        ``paced``: the caller has taken the turn in :attr:`pace` (the desk does, so that nothing
        waits between its last look and the first byte).

        Raises:
            RuleViolation: before the wire: not armed, or Kite would surely refuse it.
            OrderRefused, OrderUncertain, NotPermitted, SessionExpired: see :mod:`btkite.errors`.
        """
        fields = order_fields(proposal)
        if OrderType(proposal.order_type) in PROTECTED and endpoints.MARKET_ORDERS not in self.endpoint.capabilities:
            raise RuleViolation(f"{self.endpoint.name} takes no {proposal.order_type} orders: use LIMIT or SL")
        with self._lane(Lane.EXIT if proposal.reduces else Lane.ENTRY, paced):
            reply = self._kite._post("order.place", url_args={"variety": proposal.variety}, params=fields)
        return read_placed(reply)

    def modify(self, order_id: str, variety: str, *, paced: bool = False, **changed: Any) -> str:
        """Change an open order; only what is given changes. Returns its id.

        Fields: ``quantity`` (the new total), ``price``, ``trigger_price``, ``order_type``,
        ``validity``, ``disclosed_quantity``, ``market_protection``, ``parent_order_id``.
        """
        unknown = sorted(changed.keys() - MODIFIABLE)
        if unknown:
            raise RuleViolation(f"an order's {unknown[0]} cannot be changed: only {', '.join(sorted(MODIFIABLE))}")
        fields = {name: plain(value) for name, value in changed.items() if value is not None}
        if not fields.keys() - {"parent_order_id"}:
            raise RuleViolation(f"nothing to change in order {order_id}")
        if fields.get("order_type") in PROTECTED:
            check_protection(str(fields["order_type"]), fields.get("market_protection"))
        with self._lane(Lane.EXIT, paced):
            reply = self._kite._put("order.modify", url_args={"variety": variety, "order_id": order_id}, params=fields)
        return read_order_id(reply)

    def cancel(self, order_id: str, variety: str, *, parent_order_id: str | None = None, paced: bool = False) -> str:
        """Cancel an open order. Kite's yes means *received*: the order is dead when its status says so."""
        with self._lane(Lane.CANCEL, paced):
            reply = self._kite._delete(
                "order.cancel",
                url_args={"variety": variety, "order_id": order_id},
                params={"parent_order_id": parent_order_id} if parent_order_id else None,
            )
        return read_order_id(reply)

    # -- calculators ---------------------------------------------------------------------------

    def order_margins(self, proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
        """What each order would block, in rupees (``total``), by itself."""
        self._needs(endpoints.MARGIN_CALCULATORS)
        return list(self._kite.order_margins([margin_row(proposal) for proposal in proposals]))

    def basket_margins(self, proposals: Sequence[Proposal], *, consider_positions: bool = True) -> dict[str, Any]:
        """What the orders would block together; ``final`` has the benefit of spreads."""
        self._needs(endpoints.MARGIN_CALCULATORS)
        rows = [margin_row(proposal) for proposal in proposals]
        return dict(self._kite.basket_order_margins(rows, consider_positions=consider_positions))

    def charges(self, orders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The virtual contract note of executed orders, in Kite's own rows (``average_price`` set)."""
        self._needs(endpoints.CHARGES)
        return list(self._kite.get_virtual_contract_note([dict(order) for order in orders]))

    # -- triggers at the broker ----------------------------------------------------------------

    def gtts(self) -> list[dict[str, Any]]:
        self._needs(endpoints.GTT)
        return list(self._kite.get_gtts())

    def gtt(self, trigger_id: int) -> dict[str, Any]:
        self._needs(endpoints.GTT)
        return dict(self._kite.get_gtt(trigger_id))

    def place_gtt(
        self,
        trigger_type: str,
        tradingsymbol: str,
        exchange: str,
        trigger_values: Sequence[float],
        last_price: float,
        orders: Sequence[Mapping[str, Any]],
    ) -> int:
        """Place a trigger (``single`` or ``two-leg``) that rests at Kite; returns its id."""
        self._needs(endpoints.GTT)
        with self._lane(Lane.EXIT, False):
            reply = self._kite.place_gtt(
                trigger_type, tradingsymbol, exchange, list(trigger_values), last_price, orders
            )
        return int(reply["trigger_id"])

    def modify_gtt(
        self,
        trigger_id: int,
        trigger_type: str,
        tradingsymbol: str,
        exchange: str,
        trigger_values: Sequence[float],
        last_price: float,
        orders: Sequence[Mapping[str, Any]],
    ) -> int:
        self._needs(endpoints.GTT)
        with self._lane(Lane.EXIT, False):
            reply = self._kite.modify_gtt(
                trigger_id, trigger_type, tradingsymbol, exchange, list(trigger_values), last_price, orders
            )
        return int(reply["trigger_id"])

    def delete_gtt(self, trigger_id: int) -> int:
        self._needs(endpoints.GTT)
        with self._lane(Lane.CANCEL, False):
            reply = self._kite.delete_gtt(trigger_id)
        return int(reply["trigger_id"])

    # -- everything else -----------------------------------------------------------------------

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Any other method of ``kiteconnect.KiteConnect`` by name, with the same pacing and errors.

        Raises:
            ConfigError: if it has no such public method.
        """
        method = None if name.startswith("_") else getattr(self._kite, name, None)
        if not callable(method) or name in {"set_access_token", "set_session_expiry_hook", "login_url"}:
            raise ConfigError(f"kiteconnect has no call {name!r}")
        return method(*args, **kwargs)

    def request(self, route: str, method: str = "GET", *, params: Mapping[str, Any] | None = None, **where: Any) -> Any:
        """A route by its key in kiteconnect's table or in ours (alerts, full profile …: ``kite/door.py``).

        ``where`` fills the route's placeholders. A write counts as an order unless it is harmless.
        """
        if route not in self._kite._routes:
            raise ConfigError(f"Kite has no route {route!r}: one of {', '.join(sorted(self._kite._routes))}")
        return self._kite._request(
            route, method.upper(), url_args=where or None, params=dict(params) if params else None
        )

    # -- inside --------------------------------------------------------------------------------

    def _needs(self, capability: str) -> None:
        if capability not in self.endpoint.capabilities:
            raise RuleViolation(f"{self.endpoint.name} has no {capability}")

    def _rows(self, route: str, where: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        rows = self._kite._get(route, url_args=where)
        if not isinstance(rows, list):
            raise KiteUnavailable(f"{self._path(route)} gave no list", code=200, error_type=BAD_ANSWER)
        return [row for row in rows if isinstance(row, dict)]

    def _updates(self, route: str, where: Mapping[str, Any] | None = None) -> list[OrderUpdate]:
        return [order_update(row, Source.POLL) for row in self._rows(route, where)]

    def _quotes(self, name: str, route: str, keys: Iterable[str | Iterable[str]]) -> dict[str, Any]:
        wanted = list(
            dict.fromkeys(key for given in keys for key in ([given] if isinstance(given, str) else list(given)))
        )
        found: dict[str, Any] = {}
        size = QUOTE_KEYS[name]
        for first in range(0, len(wanted), size):
            found.update(self._kite._get(route, params={"i": wanted[first : first + size]}))
        return found
