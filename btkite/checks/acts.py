"""What others do while a strategy trades: an order by hand, a login, the kill switch; each at a moment of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..clock import SystemClock
from ..errors import ConfigError
from ..exchange.errors import Refusal
from ..journal import account_folder
from ..kite.endpoints import resolve
from ..kite.secret import Secret
from ..kite.session import Session, TokenStore
from ..risk.gate import KillSwitch
from ..testing.wire import API_KEY, USER, KiteExchange

MODE = "live"
ORDER, LOGIN, KILL = "order", "login", "kill"


@dataclass(frozen=True, slots=True)
class Act:
    """``what`` somebody does at the market's ``at``: ``order`` (by hand, with Kite's ``fields``), ``login`` (a new
    token is laid where ``btkite login`` puts it; the old one dies) or ``kill`` (the kill switch is set; with
    ``flatten`` in its fields to close everything, too)."""

    at: datetime
    what: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.what not in (ORDER, LOGIN, KILL):
            raise ConfigError(f"nobody can do {self.what!r} here: it is {ORDER}, {LOGIN} or {KILL}")


class Account:
    """The account of one day as others see it: its state is in the folder ``state``. The exchange's thread."""

    def __init__(self, exchange: KiteExchange, state: Path) -> None:
        self._endpoint = resolve(exchange.url).name
        self._state = state
        self.tokens: list[str] = []
        self.by_hand: list[str] = []
        self.killed_at: int | None = None

    def keep(self, token: str) -> None:
        """Lay a token where a run looks for it."""
        self.tokens.append(token)
        session = Session(API_KEY, USER, Secret(token), SystemClock().now())
        TokenStore(self._state, API_KEY, self._endpoint).save(session)

    def deed(self, act: Act) -> Callable[[Any], bool]:
        """The act, to be done with the exchange's venue; true if an order changed by it."""
        deeds = {ORDER: self._order, LOGIN: self._login, KILL: self._kill}
        return lambda venue: deeds[act.what](venue, act.fields)

    def _order(self, venue: Any, fields: Mapping[str, Any]) -> bool:
        told = venue.told
        form = {"product": "MIS", "validity": "DAY", "order_type": "MARKET", **fields}
        try:
            order = venue.place("regular", {name: str(value) for name, value in form.items()}, placed_by=USER)
        except Refusal:  # there is no money left, or no such market: then nobody has ordered anything
            return bool(venue.told != told)
        self.by_hand.append(str(order.order_id))
        return bool(venue.told != told)

    def _login(self, venue: Any, fields: Mapping[str, Any]) -> bool:
        self.keep(venue.sessions.issue(venue.now))
        return False

    def _kill(self, venue: Any, fields: Mapping[str, Any]) -> bool:
        KillSwitch(account_folder(self._state, self._endpoint, USER, MODE) / "kill").engage(
            "chaos", flatten=bool(fields.get("flatten"))
        )
        self.killed_at = venue.request_count
        return False
