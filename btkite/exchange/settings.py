"""What an exchange is started with: one frozen value, every field by keyword."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from . import rulebook
from .apps import PLANS, App
from .candles import CandleSeries, interval_seconds
from .depth import BEYOND, shape_of
from .errors import BadSettings
from .funds import Fund
from .instruments import InstrumentRow

LOCKSTEP = "lockstep"
REALTIME = "realtime"
# What else can be refused: see btkite.exchange.checks.
CHECKS = frozenset(
    {"amo_variety", "amo_window", "circuit", "disclosed", "freeze", "lpp", "mis_cutoff", "order_size", "segments"}
)
# As strict as Kite itself: ExchangeSettings(**STRICT, ...).
STRICT: Mapping[str, Any] = {
    "checks": "kite",
    "protection_binds": True,
    "rms": "async",
    "lapse": "kite",
    "check_circuit": True,
    "depth": "seeded",
    "pre_open": True,
    "closing_auction": True,
    "split_sessions": True,
    "mis_squareoff": True,
}
_CHOICES = {
    "rms": ("sync", "async"),
    "lapse": ("close", "kite"),
    "lpp_status": ("REJECTED", "CANCELLED"),
    "autoslice_min": ("freeze", "2*freeze"),
    "modify_qty_semantics": ("total", "remaining"),
    "history_profile": ("docs", "seen"),
}
PROFILES = ("kite", "sandbox")
SECURITIES = frozenset({"share", "equity_etf", "other_etf", "bse_X", "bse_SS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """The market, the account and the rules of a simulated exchange.

    **Where prices come from** (exactly one, or none: then prices are put by hand):
    ``candles`` by ``EXCHANGE:SYMBOL``; or ``cache_dir`` with ``symbols`` and ``interval``; or ``seed``
    with ``symbols``, ``interval``, ``generate_from`` and ``generate_sessions``.

    **Time**: ``start`` is the market's first *now*, naive IST (None: a quarter of an hour before the
    first session opens, five seconds if the clock runs); candles before it are history. ``end`` is its
    last (None: the end of the last candle). ``speed`` is ``"lockstep"`` (the market moves only when
    ``POST /_exchange/clock`` asks), ``"realtime"``, or a number of market seconds per second; 0 starts
    paused. ``skip_closed`` jumps over closed hours (None: if the speed is above 1).

    **Account**: ``cash`` in rupees; ``holdings`` as ``{"NSE:INFY": (quantity, average_price)}``.
    ``auto_token`` is an access token that is valid from the start, for scripts without a browser.
    ``expire_tokens``: they die at 06:00 IST.

    **Frictions and rules**: ``spread_ticks`` between bid and ask; ``latency`` in market seconds before
    an order works. ``check_*`` and ``require_market_protection`` switch Kite's pre-checks.
    ``rate_limits`` None means: on when the clock runs, off in lock step.

    **Apps and doors**: ``plan`` of the app is ``"connect"`` or ``"personal"`` (no market data, no socket);
    ``apps`` are further apps of the same user, each with a token of its own; ``refresh_tokens``: logins
    bring a refresh token, as for platforms that Kite approved; ``cross_app_logout``: a login into one app
    kills the tokens of the others (contradictory reports: off). ``allowed_ips`` are the addresses that may
    place, modify and cancel orders since the rule's day (None: no such rule; an empty list: none configured);
    ``ip_check_gtt``: triggers are checked too (unsure: off); ``ip_error_type`` of the refusal has varied;
    ``client_ip`` is the address that callers pretend to have (None: their own). ``alerts_allowed``: some
    paid apps are refused alerts. ``profile`` is ``"kite"`` or ``"sandbox"``: the official sandbox's shape,
    ``/oms`` before every path but ``/instruments``, ``user_id`` in the stream's address (without it the
    socket opens but stays without ticks), LIMIT orders only, no triggers, margins and charges.

    **Faults**: ``faults`` are armed from the start, each as ``POST /_exchange/faults`` takes it.

    **The stream**: ``snapshot_ms`` of market time are conflated into one frame while the clock runs (0:
    one frame for each instant; in lock step that is always so); ``heartbeat_seconds`` without a frame
    bring a heartbeat (Kite: 1, at night up to 3); ``ws_kill_on_expiry``: a socket dies with its token
    (Kite lets it stream on: off).

    **Postbacks**: ``postback_url`` is where order updates are posted, with ``app_id`` and a checksum;
    ``postback_timeout`` in seconds.

    **Holdings**: ``auctions`` are the numbers of the auctions that holdings may go to, by
    ``EXCHANGE:SYMBOL``; they are listed, but no auction order is taken.

    **Funds**: ``funds`` are the rows of the mutual funds' dump, ``fund_holdings`` units and average price by
    tradingsymbol; nothing of them trades.

    **Limits**: beyond ``abuse_refusals`` answers of 429 within a minute, the account is blocked for
    ``abuse_block_seconds`` (0 refusals: never). How many orders a second, a minute and a day are
    allowed is a rule of the simulated day.

    **The life of orders**: rules are those of the simulated day (:mod:`btkite.exchange.rulebook`);
    ``rules_on`` plays every day by another date's; ``rules`` overrides some by name, as ``{"iceberg_legs":
    20, "ioc": {"MCX": True}}``. ``require_market_protection`` and ``max_modifications`` None: the rulebook's.
    ``checks`` are further refusals, none of which changes how an order trades: names of
    :data:`CHECKS`, or ``"kite"`` for all of them. ``protection_binds``: a market order becomes a limit order
    at the protected price, an SL-M an SL, and what does not trade there rests. ``order_delay``: market
    seconds between the answer of a place, modify or cancel and the change of the order. ``rms``:
    ``"sync"`` refuses at once what the money does not cover, ``"async"`` takes it and rejects it in the book.
    ``lapse``: leftovers of the day end at the ``"close"``, or at ``"kite"``'s hours (cash 16:00).
    ``lpp_status``: what a price outside the exchange's band becomes, ``REJECTED`` or ``CANCELLED``;
    ``lpp_seconds``: the band lies about the average of this long's trades, renewed as often (0: the last price).
    ``autoslice_min``: slicing is refused up to the ``"freeze"`` quantity, or below ``"2*freeze"``.
    ``modify_qty_semantics``: a changed quantity is the new ``"total"``, or what is ``"remaining"``.
    ``history_profile``: rows as the ``"docs"`` have them, or as ``"seen"``: protected orders begin at OPEN
    PENDING, a cancelled after-market order reads CANCELLED AMO. ``algo_ids``: ids that are registered (None:
    any is taken and kept). ``co_range_percent``: how far a cover order's stop may lie from the last price.

    **Money**: ``commodity_cash`` is a purse of its own for MCX (None: one purse for everything, shown under
    equity). ``charges``: each day's contract notes, depository charges and interest on a debit are debited
    when the day rolls. ``securities`` names what is no plain share, by ``EXCHANGE:SYMBOL``: ``equity_etf``,
    ``other_etf``, ``bse_X``, ``bse_SS``. ``mis_margin`` and ``derivative_margin`` are blocked as shares of a
    position's value; of the latter ``exposure_margin`` is exposure, the rest SPAN; ``spread_benefit``: an
    option bought lowers the SPAN of the one sold beside it. ``intraday_profit_usable`` on the same day
    (Zerodha: the next; sources differ). ``depository_authorisation``: a sale from holdings needs the day's
    authorisation, else 428. ``mis_squareoff`` closes intraday positions at the rulebook's ``mis_cutoff``
    (None: on when the clock runs, off in lock step). ``settlement_prices`` by underlying
    (``{"NIFTY": 26012.5}``) settle expiring contracts (else the underlying's last price, if it is listed;
    else the contract's own).
    ``mtf`` allows margin trading, with ``mtf_margin`` of a purchase paid by the client.

    **The market**: ``chains`` lists futures and options by underlying, ``{"NIFTY": 10}``: three monthly futures,
    and options of the next two weekly and the next monthly expiry, that many strikes on either side of the
    spot (with ``seed`` they have candles). ``ticks`` are recorded ticks by ``EXCHANGE:SYMBOL``, a file or a
    :class:`~btkite.exchange.ticks.TickSeries`; they may stand beside candles of other symbols. ``depth`` is
    what each print displays: None or ``"unlimited"``; a quantity for each of five levels a side; up to five
    quantities; or ``"seeded"``. What an order finds beyond the last level: ``beyond_depth`` ``"wait"`` (the
    rest of a market order waits for the next print) or ``"walk"`` (on, tick by tick). ``impact`` is the
    share of an order's own walk through the book by which later prices stay moved; it halves with every
    candle (0: orders never move history). ``prints_per_candle``, 4 to 12: those beyond the four are shown
    on the stream only, matching is the same. ``price_band`` is the day's price range in per cent about the
    previous close (2, 5, 10, 20, or None for none), ``price_bands`` that of single instruments; options have a
    wide one of their own. ``lot_sizes`` are by ``EXCHANGE:SYMBOL``, or by underlying for all its contracts.
    ``pre_open``: orders are taken in the pre-open session and matched at the day's opening price, on the
    days and segments that have one. ``closing_auction``: since 2026-08-03 the shares that have derivatives
    (``auction_shares``; None: those of ``btkite/data/lots.csv`` and those whose derivatives are listed
    here) stop at 15:15 and are matched at one price at 15:30, unless their candles trade on; limits lie within
    3 % of the reference price, and stops, IOC and disclosed quantities are refused. ``split_sessions``:
    between the two windows of a broken day nothing trades and nothing can be placed, and what rests is
    cancelled. ``halted_orders``: during a halt orders ``"rest"``, or the exchange ``"reject"``s them.
    ``breaker_purges``: a market-wide halt cancels what rests (NSE's rule as remembered: a setting).
    """

    host: str = "127.0.0.1"
    port: int = 0

    candles: Mapping[str, CandleSeries] = field(default_factory=dict)
    cache_dir: str | Path | None = None
    seed: int | None = None
    symbols: Sequence[str] = ()
    interval: str = "minute"
    generate_from: date | None = None
    generate_sessions: int = 5

    instruments: Sequence[InstrumentRow] = ()
    tick_sizes: Mapping[str, float] = field(default_factory=dict)
    lot_sizes: Mapping[str, int] = field(default_factory=dict)

    start: datetime | None = None
    end: datetime | None = None
    speed: float | str = LOCKSTEP
    skip_closed: bool | None = None

    api_key: str = "sandboxkey000000"
    api_secret: str = field(default="sandboxsecret000000000000000000", repr=False)
    user_id: str = "SIM001"
    user_name: str = "Simulated User"
    redirect_url: str | None = None
    cash: float = 1_000_000.0
    holdings: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    auto_token: str | None = field(default=None, repr=False)
    expire_tokens: bool = True

    spread_ticks: int = 0
    latency: float = 0.0
    require_market_protection: bool | None = None
    check_margin: bool = True
    check_holdings: bool = True
    check_trigger_side: bool = True
    check_tick_size: bool = True
    check_circuit: bool = False
    rate_limits: bool | None = None
    max_modifications: int | None = None
    max_sockets: int = 3
    max_tokens_per_socket: int = 3000
    duplicate_cancelled: bool = True
    sale_proceeds_usable: float = 0.8
    request_token_seconds: int = 300

    # the life of orders
    rules: Mapping[str, Any] = field(default_factory=dict)
    rules_on: date | None = None
    checks: str | Collection[str] = ()
    protection_binds: bool = False
    order_delay: float = 0.0
    rms: str = "sync"
    lapse: str = "close"
    lpp_status: str = "REJECTED"
    lpp_seconds: float = 30.0
    autoslice_min: str = "freeze"
    modify_qty_semantics: str = "total"
    history_profile: str = "docs"
    algo_ids: Collection[str] | None = None
    co_range_percent: float = 3.5

    # apps and doors
    plan: str = "connect"
    apps: Sequence[App] = ()
    refresh_tokens: bool = False
    cross_app_logout: bool = False
    allowed_ips: Sequence[str] | None = None
    ip_check_gtt: bool = False
    ip_error_type: str = "PermissionException"
    client_ip: str | None = None
    alerts_allowed: bool = True
    profile: str = "kite"

    # faults
    faults: Sequence[Mapping[str, Any]] = ()

    # the stream
    snapshot_ms: int = 250
    heartbeat_seconds: float = 1.0
    ws_kill_on_expiry: bool = False

    # postbacks
    postback_url: str | None = None
    postback_timeout: float = 5.0
    app_id: int = 1

    # holdings and funds
    auctions: Mapping[str, str] = field(default_factory=dict)
    funds: Sequence[Fund] = ()
    fund_holdings: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    # limits
    abuse_refusals: int = 0
    abuse_block_seconds: int = 300

    # money
    commodity_cash: float | None = None
    charges: bool = True
    securities: Mapping[str, str] = field(default_factory=dict)
    mis_margin: float = 0.2
    derivative_margin: float = 0.15
    exposure_margin: float = 0.02
    spread_benefit: bool = False
    intraday_profit_usable: bool = True
    depository_authorisation: bool = False
    mis_squareoff: bool | None = None
    settlement_prices: Mapping[str, float] = field(default_factory=dict)
    mtf: bool = False
    mtf_margin: float = 0.5

    # the market
    chains: Mapping[str, int] = field(default_factory=dict)
    ticks: Mapping[str, Any] = field(default_factory=dict)
    depth: str | int | Sequence[int] | None = None
    beyond_depth: str = "wait"
    impact: float = 0.0
    prints_per_candle: int = 4
    price_band: float | None = 10.0
    price_bands: Mapping[str, float | None] = field(default_factory=dict)
    pre_open: bool = False
    closing_auction: bool = False
    auction_shares: Collection[str] | None = None
    split_sessions: bool = False
    halted_orders: str = "rest"
    breaker_purges: bool = True

    def __post_init__(self) -> None:
        interval_seconds(self.interval)
        sources = [name for name, given in self._sources() if given]
        if len(sources) > 1:
            raise BadSettings(f"give one source of candles, not {' and '.join(sources)}")
        if (self.cache_dir is not None or self.seed is not None) and not self.symbols:
            raise BadSettings("name the symbols, for example symbols=('NSE:INFY',)")
        if self.generate_sessions < 1:
            raise BadSettings(f"generate_sessions {self.generate_sessions}: give 1 day or more")
        if isinstance(self.speed, str) and self.speed not in (LOCKSTEP, REALTIME):
            raise BadSettings(f"speed {self.speed!r}: give a number, 'realtime' or 'lockstep'")
        if not isinstance(self.speed, str) and self.speed < 0:
            raise BadSettings("speed must not be negative: time runs forward")
        if self.start and self.end and self.end <= self.start:
            raise BadSettings("end must come after start")
        if self.spread_ticks < 0 or self.latency < 0:
            raise BadSettings("spread_ticks and latency must not be negative")
        rulebook.known(self.rules)
        if unknown_checks := self.enforced - CHECKS:
            raise BadSettings(f"there is no check {min(unknown_checks)!r}: choose of {', '.join(sorted(CHECKS))}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise BadSettings(f"{name} {getattr(self, name)!r}: choose {' or '.join(choices)}")
        if self.beyond_depth not in BEYOND:
            raise BadSettings(f"beyond_depth {self.beyond_depth!r}: choose {' or '.join(BEYOND)}")
        if self.halted_orders not in ("rest", "reject"):
            raise BadSettings(f"halted_orders {self.halted_orders!r}: choose rest or reject")
        if not 4 <= self.prints_per_candle <= 12:
            raise BadSettings("prints_per_candle must be from 4 to 12")
        if self.impact < 0 or (self.impact and shape_of(self) is None):
            raise BadSettings("impact must not be negative, and needs a depth: with unlimited depth nothing moves")
        for band in (self.price_band, *self.price_bands.values()):
            if band is not None and not 0 < band < 100:
                raise BadSettings("a price band is a percentage between 0 and 100, or None")
        shape_of(self)
        if self.lpp_seconds < 0:
            raise BadSettings("lpp_seconds must not be negative; 0 takes the last price")
        if self.order_delay < 0:
            raise BadSettings("order_delay must not be negative")
        for name in ("mis_margin", "derivative_margin", "exposure_margin", "mtf_margin", "sale_proceeds_usable"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSettings(f"{name} is a share of a value: write 0.2 for 20 per cent")
        if self.exposure_margin > self.derivative_margin:
            raise BadSettings("exposure_margin is a part of derivative_margin: it must not be the larger")
        if kinds := set(self.securities.values()) - SECURITIES:
            raise BadSettings(f"securities: {min(kinds)!r} is none of {', '.join(sorted(SECURITIES))}")
        if self.profile not in PROFILES:
            raise BadSettings(f"profile {self.profile!r}: choose one of {', '.join(PROFILES)}")
        if unknown := {app.plan for app in self.all_apps} - set(PLANS):
            raise BadSettings(f"plan {unknown.pop()!r}: choose one of {', '.join(PLANS)}")
        if len({app.api_key for app in self.all_apps}) != len(self.apps) + 1:
            raise BadSettings("two apps have the same api_key: give each its own")
        if self.snapshot_ms < 0 or self.heartbeat_seconds <= 0:
            raise BadSettings("snapshot_ms must not be negative, heartbeat_seconds must be above zero")

    @property
    def all_apps(self) -> tuple[App, ...]:
        """The app that these settings describe, then the further ones."""
        own = App(
            api_key=self.api_key,
            api_secret=self.api_secret,
            app_id=self.app_id,
            plan=self.plan,
            redirect_url=self.redirect_url,
            postback_url=self.postback_url,
            refresh_tokens=self.refresh_tokens,
            access_token=self.auto_token,
        )
        return (own, *self.apps)

    def _sources(self) -> list[tuple[str, bool]]:
        return [
            ("candles", bool(self.candles)),
            ("cache_dir", self.cache_dir is not None),
            ("seed", self.seed is not None),
        ]

    @property
    def enforced(self) -> frozenset[str]:
        """The further checks that are on."""
        if isinstance(self.checks, str):
            return CHECKS if self.checks == "kite" else frozenset({self.checks})
        return frozenset(self.checks)

    @property
    def lockstep(self) -> bool:
        """True if the market moves only when asked."""
        return self.speed == LOCKSTEP

    @property
    def initial_speed(self) -> float:
        """Market seconds per second at the start; 0 in lock step."""
        if isinstance(self.speed, str):
            return 1.0 if self.speed == REALTIME else 0.0
        return float(self.speed)
