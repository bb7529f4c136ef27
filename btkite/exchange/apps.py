"""The apps of the simulated developer account: a key, a secret, a plan, and where their news go.

One user may have several apps; each has an access token of its own. Order limits count for the account,
the list of allowed addresses holds for the developer account.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CONNECT, PERSONAL = "connect", "personal"
PLANS = (CONNECT, PERSONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app. ``plan`` is ``connect`` (paid) or ``personal`` (free: orders, but no market data and no socket).

    ``redirect_url`` is where the login page sends the browser, ``postback_url`` where order updates are
    posted; ``refresh_tokens`` is true for the platforms that Kite approved for them; ``access_token`` is
    valid from the start.
    """

    api_key: str
    api_secret: str = field(repr=False)
    app_id: int = 1
    plan: str = CONNECT
    redirect_url: str | None = None
    postback_url: str | None = None
    refresh_tokens: bool = False
    access_token: str | None = field(default=None, repr=False)

    @property
    def market_data(self) -> bool:
        """True if quotes, history and sockets are for it."""
        return self.plan == CONNECT
