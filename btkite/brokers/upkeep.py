"""Upkeep: whether an account could have kept what it held on margin over the night, and the most that was blocked.

The gate judges an order when it is given; a future or a sold option goes on needing its margin while the market moves
against it. What is held is therefore looked at once a session, at the close's prices, by the approximation of
:mod:`btkite.market.margins`; a result says on which day Kite would have asked for money.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ..log import get_logger
from ..market.margins import Leg, is_margined, portfolio_margin
from ..risk.rules import rupees

log = get_logger(__name__)


class Upkeep:
    """``days``: sessions that ended with too little; ``most``, ``most_on``: ₹ blocked at the most, and when."""

    def __init__(self) -> None:
        self.days = 0
        self.most = 0.0
        self.most_on: date | None = None
        self._first = ""
        self._today: date | None = None

    def blocked(self, used: float, day: date) -> None:
        """What the positions block now, ₹."""
        if used > self.most:
            self.most, self.most_on = used, day

    def is_new(self, today: date) -> bool:
        """Whether the market has come to another session; to be told of it once."""
        before, self._today = self._today, today if self._today is None else max(today, self._today)
        return before is not None and today > before

    def close(self, night: date, legs: Iterable[Leg], value: float) -> None:
        """What was held when the session of ``night`` ended, and the account's value then, ₹."""
        held = [leg for leg in legs if leg.instrument.exchange]  # of other data nothing is known
        margined = [leg for leg in held if is_margined(leg.instrument, leg.quantity, leg.product)]
        if not margined:
            return
        paid = [leg for leg in held if leg not in margined]
        own = value - sum(leg.quantity * leg.price * leg.instrument.multiplier for leg in paid)
        # An option that is paid for limits the loss of one that is sold.
        need = portfolio_margin([*margined, *(leg for leg in paid if leg.instrument.is_option)], night)
        if need <= own:
            return
        self.days += 1
        if not self._first:
            self._first = f"on {night} the positions needed about {rupees(need)} of margin and {rupees(own)} was there"
            log.warning("too little margin for what is held", night=str(night), needed=need, own=own)

    @property
    def night(self) -> date | None:
        """The session that is going on, or has just ended."""
        return self._today

    def __str__(self) -> str:
        """What a reader of the result must know first; empty if there was always enough."""
        if not self.days:
            return ""
        times = f" (the first of {self.days} days)" if self.days > 1 else ""
        return f"short of margin: {self._first}{times}; Kite would have asked for money, or squared off"
