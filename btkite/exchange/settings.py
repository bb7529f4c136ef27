"""What an exchange is started with: one frozen value, every field by keyword."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from .candles import CandleSeries, interval_seconds
from .errors import BadSettings
from .instruments import InstrumentRow

LOCKSTEP = "lockstep"
REALTIME = "realtime"


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
    require_market_protection: bool = True
    check_margin: bool = True
    check_holdings: bool = True
    check_trigger_side: bool = True
    check_tick_size: bool = True
    check_circuit: bool = False
    rate_limits: bool | None = None
    max_modifications: int = 25
    max_sockets: int = 3
    max_tokens_per_socket: int = 3000
    duplicate_cancelled: bool = True
    sale_proceeds_usable: float = 0.8
    request_token_seconds: int = 300

    def __post_init__(self) -> None:
        interval_seconds(self.interval)
        sources = [name for name, given in self._sources() if given]
        if len(sources) > 1:
            raise BadSettings(f"give one source of candles, not {' and '.join(sources)}")
        if (self.cache_dir is not None or self.seed is not None) and not self.symbols:
            raise BadSettings("name the symbols, for example symbols=('NSE:INFY',)")
        if isinstance(self.speed, str) and self.speed not in (LOCKSTEP, REALTIME):
            raise BadSettings(f"speed {self.speed!r}: give a number, 'realtime' or 'lockstep'")
        if not isinstance(self.speed, str) and self.speed < 0:
            raise BadSettings("speed must not be negative: time runs forward")
        if self.start and self.end and self.end <= self.start:
            raise BadSettings("end must come after start")
        if self.spread_ticks < 0 or self.latency < 0:
            raise BadSettings("spread_ticks and latency must not be negative")

    def _sources(self) -> list[tuple[str, bool]]:
        return [
            ("candles", bool(self.candles)),
            ("cache_dir", self.cache_dir is not None),
            ("seed", self.seed is not None),
        ]

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
