"""Every key of btkite's configuration: its kind, its default, its bounds and what it means.

The only place where a default is written. ``config.yaml``, ``env.example`` and the tables of
``docs/configuration.md`` are printed from here (``btkite config docs``), and a test keeps them equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from . import kinds
from .kinds import Count, Number


class Section(BaseModel):
    """Frozen, refuses unknown keys, checks its defaults too, and never shows a secret."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class KiteConnect(Section):
    """The app at developers.kite.trade and how to reach Kite. The daily login is `btkite login`."""

    api_key: kinds.Credential = Field(default="", description="The app's key. KITE_API_KEY in the environment wins.")
    api_secret: kinds.Secret = Field(
        default=SecretStr(""),
        description="The app's secret. Better in the environment or .env (KITE_API_SECRET) than here.",
    )
    access_token: kinds.Secret = Field(
        default=SecretStr(""),
        description="Today's token, if something else than `btkite login` fetches it (KITE_ACCESS_TOKEN).",
    )
    user_id: kinds.Credential = Field(
        default="", description="The Kite client id, such as AB1234 (KITE_USER_ID); a login as someone else is refused."
    )
    redirect_url: kinds.Redirect = Field(
        default="http://127.0.0.1:8766/",
        description="The redirect URL registered for the app; `btkite login` listens there if it is this machine.",
    )
    endpoint: kinds.Endpoint = Field(
        default="simulator",
        description="Which Kite: kite (real money), sandbox (Kite's own), simulator (btkite exchange) or the "
        "address of another simulator.",
    )
    timeout: Number = Field(default=7.0, gt=0, le=120, description="Seconds until a request counts as unanswered.")
    postback_port: Count | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="Port at which Kite's postbacks of orders are heard, beside the stream; null: they are not.",
    )
    postback_host: kinds.Text = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that listens for postbacks. Kite posts from outside, over https: a reverse proxy leads "
        "them here.",
    )
    debug: bool = Field(default=False, description="Log every request and answer, secrets masked.")


class Network(Section):
    """The way to Kite, for REST and the stream alike. Proxies of the environment are not looked at."""

    proxy: kinds.Proxy = Field(
        default=SecretStr(""),
        description="HTTP proxy, http://HOST:PORT (user and password before it, if it asks), told to CONNECT; it "
        "passes bytes on and sees no token. A market without TLS (a simulator) is reached directly.",
    )
    ipv4_only: bool = Field(
        default=True,
        description="Kite checks the IP of every order against the listed one; true keeps IPv6 out of it.",
    )


class Broker(Section):
    """Orders, money and the fill conventions. One set of keys for backtest, paper and live."""

    capital: Number = Field(
        default=100_000.0, gt=0, description="₹ allotted to the strategy; percent sizing counts from it in every mode."
    )
    default_product: kinds.Product = Field(
        default="MIS",
        description="Product of an order that names none: MIS is intraday, CNC delivery, NRML overnight F&O.",
    )
    default_variety: Literal["regular", "amo", "iceberg", "auction"] = Field(
        default="regular", description="Variety of an order that names none."
    )
    default_exchange: Literal["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO"] = Field(
        default="NSE", description="Exchange of a symbol written without one (RELIANCE means NSE:RELIANCE)."
    )
    default_validity: Literal["DAY", "IOC"] = Field(default="DAY", description="Validity of an order that names none.")
    market_protection: kinds.Protection = Field(
        default=-1.0,
        description="Per cent a MARKET or SL-M order may slip from the last price; -1 is Kite's own figure. Kite "
        "refuses such orders without it.",
    )
    out_of_band: Literal["deny", "clamp"] = Field(
        default="deny",
        description="Live: what becomes of a limit outside the day's band. clamp: it is moved to the band's edge, if "
        "that is no worse a price than was asked for; else, and with deny, the order is denied.",
    )
    mis_cutoff: Literal["deny", "send"] = Field(
        default="deny",
        description="A MIS order that opens a position after the hour from which Kite takes none (15:25 for most "
        "shares, 15:12 for those with derivatives): deny it, in every mode, or send it all the same.",
    )
    square_off: Number | None = Field(
        default=3.0,
        ge=0,
        le=300,
        description="Minutes before Kite squares MIS off (and charges for it) at which btkite does it, in every mode; "
        "from then on no MIS order is taken. null: btkite leaves it to you, or to Kite.",
    )
    expiry: Literal["close", "leave"] = Field(
        default="close",
        description="On its last day, what is held of a future or option that ends in the delivery of shares: closed "
        "with the square-off, whatever its product, or left.",
    )
    physical_days: int = Field(
        default=4,
        ge=0,
        le=20,
        description="Options on shares, which end in shares, are not opened in so many trading days before their "
        "expiry; 0 lets them. Margins rise in these days in any case.",
    )
    unfilled: Literal["widen", "leave", "cancel"] = Field(
        default="widen",
        description="Live: what becomes of a MARKET or SL-M order that rests because the market ran beyond its "
        "protection. widen: its limit follows; cancel: entries are cancelled, exits follow.",
    )
    widen_after: Number = Field(
        default=5.0, ge=1, le=600, description="Live: seconds for which such an order rests before its limit is moved."
    )
    widen_step: Number = Field(
        default=1.0,
        gt=0,
        le=20,
        description="Live: per cent beyond the last price to which its limit is moved; twice that the next time.",
    )
    widen_most: Number = Field(
        default=5.0,
        gt=0,
        le=50,
        description="Live: per cent from its first limit beyond which it is not moved; it rests then, and is alerted.",
    )
    stop_as: Literal["SL-M", "SL"] = Field(
        default="SL-M",
        description="How a stop without a limit goes to the market; SL gives it one, market_protection beyond its "
        "trigger. On BSE and for options, which have no SL-M, it is SL always.",
    )
    after_hours: Literal["next_open", "amo", "refuse"] = Field(
        default="next_open",
        description="An order outside the session: held for the next open, sent as after-market order, or refused.",
    )
    carry: bool = Field(
        default=False,
        description="Place an unfilled order without deadline again each morning; false: it ends with the day.",
    )
    decide_at: kinds.ClockTime = Field(
        default=None,
        description="IST time (15:20) at which the bar of the day closes early, so that orders get today's price.",
    )
    securities: kinds.Securities = Field(
        default=(),
        description='What no name and no list tells: rows "NSE:NIFTYBEES equity_etf", between semicolons in the '
        "environment. equity_etf, other_etf (gold, liquid, gilt: no STT), bse_X, bse_SS (BSE's groups X XT Z ZP, "
        "SS ST); what is not named is a share. Charges go by it in every mode.",
    )
    charges: bool = Field(
        default=True, description="Take brokerage, taxes and fees from simulated money as Zerodha does."
    )
    slippage_ticks: Count = Field(
        default=0, ge=0, le=1000, description="Ticks by which simulated market orders and stops trade worse."
    )
    latency: Number = Field(default=0.0, ge=0, le=60, description="Seconds until a simulated order reaches the market.")
    depth: Literal["displayed", "unlimited"] = Field(
        default="displayed",
        description="Paper: fill no more than the depth that Kite shows, level by level, or whole at the touch.",
    )
    rule: Literal["path", "backtrader"] = Field(
        default="path", description="Fill convention of the simulator (docs/fills.md); backtrader is BackBroker's own."
    )
    leverage: Number = Field(
        default=1.0,
        ge=1,
        le=20,
        description="Times its capital that a strategy may hold in MIS and MTF shares, as far as Kite's table of the "
        "day goes; delivery is paid in full, contracts need their margin.",
    )
    tick_rounding: bool = Field(
        default=True, description="Round prices to the tick, to the safe side; false: refuse a price off the tick."
    )
    poll: Number = Field(
        default=5.0,
        ge=1,
        le=60,
        description="Live: seconds between two looks at Kite's order book while an order works; in lock step 60.",
    )
    reconcile: Number = Field(
        default=60.0,
        ge=5,
        le=3600,
        description="Live: seconds between two comparisons of orders, trades, positions and holdings with ours; also "
        "made at the start and after every reconnect.",
    )
    foreign: Literal["adopt", "ignore", "halt"] = Field(
        default="halt",
        description="Live: what others trade in an instrument of the run. adopt: our position follows; ignore: it is "
        "theirs; halt: adopt, and only reduce until `btkite resume`.",
    )
    kite_connect: KiteConnect = Field(default_factory=KiteConnect, description="The app and the endpoint.")


class Client(Section):
    """What charges depend on besides the trade: who the client is."""

    woman: bool = Field(default=False, description="The first holder is a woman, whose DP charge is less.")
    karnataka: bool = Field(
        default=False, description="An address in Karnataka, where the note rounds CGST and SGST apart."
    )
    in_debit: bool = Field(
        default=False, description="The account owes Zerodha money: ₹20 more for every executed order."
    )
    stamp_delivery_pct: Number = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Stamp duty on deliveries before 2020-07-01, when it was the state's, both sides, per cent "
        "(Maharashtra, Gujarat, Delhi, Kerala; Tamil Nadu 0.006).",
    )
    stamp_other_pct: Number = Field(
        default=0.002, ge=0, le=1, description="The same on all other trades before 2020-07-01."
    )


class Data(Section):
    """Candles and ticks."""

    source: Literal["kite", "cache", "csv", "parquet"] = Field(
        default="cache", description="Where history comes from; cache fills its gaps from Kite when there is a session."
    )
    path: str | None = Field(
        default=None,
        description="File of the sources csv and parquet; may hold {exchange}, {symbol} and {interval}.",
    )
    cache: kinds.CacheFolder = Field(
        default=kinds.AUTO,
        description="Folder of the candle cache; auto is $XDG_DATA_HOME/btkite/candles.",
    )
    warmup: Count = Field(
        default=0, ge=0, le=1_000_000, description="Bars before the start that only warm indicators up, in every mode."
    )
    grace: Number = Field(
        default=1.0,
        ge=0,
        le=60,
        description="Seconds of market time after its end at which a live bar is closed at the latest.",
    )
    silence: Number = Field(
        default=30.0,
        ge=5,
        le=600,
        description="Seconds of market time without a tick in market hours after which entries are paused, if Kite has "
        "newer prices.",
    )
    history_lag: Number = Field(
        default=2.0, ge=0, le=300, description="Seconds that Kite needs to write a finished candle to its history."
    )
    patience: Number | None = Field(
        default=300.0,
        ge=0,
        description="Seconds of market time for which next() waits for a symbol without a bar while others trade; "
        "null: without end. (In lock step and in history it always waits.)",
    )
    trade_repaired: bool = Field(
        default=False,
        description="Let entries be given on a bar that came from history after an outage; orders that reduce a "
        "position always may.",
    )


class Calendar(Section):
    """When the exchanges trade: rows of your own over the shipped calendar (`btkite calendar show DATE`)."""

    overlay: kinds.Rows = Field(
        default=(),
        description='Rows over the shipped calendar, such as "2026-12-16 NSE closed polling" or "2027-10-29 NSE '
        'muhurat 18:00-19:00"; between semicolons in the environment. NSE speaks for BSE, NFO and BFO too.',
    )
    valid_until: kinds.Day = Field(
        default=None,
        description="Last date of which you vouch that the calendar knows its holidays; null: as shipped or imported.",
    )
    unverified: Literal["refuse", "weekdays"] = Field(
        default="refuse",
        description="Live, past the calendar's last date: no orders, or every weekday is taken for a session, with an "
        "alert a day.",
    )


class Paths(Section):
    """Where btkite writes."""

    state: kinds.StateFolder = Field(
        default=kinds.AUTO,
        description="Folder of journal, token, locks and log; auto is $XDG_STATE_HOME/btkite.",
    )
    runs: kinds.Folder = Field(
        default=Path("runs"),
        description="Folder that gets one folder a run: report, orders, this configuration.",
    )


class Risk(Section):
    """Limits of the gate that every order passes, in every mode. Orders that reduce risk always pass."""

    enabled: bool = Field(default=True, description="false: no order is judged by these limits.")
    max_position_pct: Number = Field(
        default=10.0,
        gt=0,
        le=100,
        description="Per cent of the account's value now that one position may put at risk, working orders included: "
        "shares in full, futures and sold options their margin, bought options their premium.",
    )
    max_position_value: Number | None = Field(
        default=None, gt=0, description="₹ that one position may put at risk, working orders included; null: no limit."
    )
    max_position_quantity: Count | None = Field(
        default=None,
        gt=0,
        description="Units (lots on MCX and in currency) of one position, working orders included; null: no limit.",
    )
    max_gross_exposure: Number | None = Field(
        default=None, gt=0, description="₹ at risk in all positions, long and short added up; null: no limit."
    )
    max_gross_exposure_pct: Number | None = Field(
        default=None,
        gt=0,
        description="The same in per cent of the account's value now (200 is twice); null: no limit.",
    )
    max_net_exposure: Number | None = Field(
        default=None, gt=0, description="₹ at risk in long positions less short ones, or the reverse; null: no limit."
    )
    max_net_exposure_pct: Number | None = Field(
        default=None, gt=0, description="The same in per cent of the account's value now; null: no limit."
    )
    max_open_positions: Count | None = Field(
        default=None, gt=0, description="Instruments held, or with an entry at work, at once; null: no limit."
    )
    max_margin_use_pct: Number | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Per cent of the account's value that positions and working entries may tie up; null: no limit.",
    )
    max_order_value: Number | None = Field(
        default=None, gt=0, description="₹ that one order may be worth at its worst price; null: no limit."
    )
    price_collar_pct: Number | None = Field(
        default=None,
        gt=0,
        description="Per cent from the last price at which an entry's limit and trigger may lie; null: no limit.",
    )
    duplicate_window: Number | None = Field(
        default=None,
        gt=0,
        description="Seconds in which the same entry is not given twice, if the first works or traded; null: no limit.",
    )
    max_orders_per_minute: Count | None = Field(
        default=None,
        gt=0,
        description="Orders and changes in the 60 seconds before an entry, exits counted; null: no limit.",
    )
    max_daily_trades: Count | None = Field(default=50, gt=0, description="Entries in one session; null: no limit.")
    max_daily_trades_per_symbol: Count | None = Field(
        default=None, gt=0, description="Entries in one instrument in one session; null: no limit."
    )
    max_daily_loss: Number | None = Field(
        default=None,
        gt=0,
        description="₹ lost in one day, realized and open, past which entries stop for the rest of it; null: no limit.",
    )
    max_daily_loss_pct: Number | None = Field(
        default=None,
        gt=0,
        le=100,
        description="The same in per cent of the account's value at the session's start; null: no limit.",
    )
    on_daily_loss: Literal["keep", "flatten"] = Field(
        default="keep",
        description="What becomes of open positions past a daily loss: kept with their exits, or closed at market. "
        "Working entries are cancelled either way.",
    )
    max_loss_streak: Count | None = Field(
        default=None, gt=0, description="Losing trades in a row after which entries pause; null: no limit."
    )
    loss_streak_pause: Number = Field(
        default=30.0, gt=0, le=100_000, description="Minutes of that pause, from the end of the last of these trades."
    )
    max_drawdown_pct: Number | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Per cent below its highest value at which the account's gate halts; null: no limit.",
    )
    max_portfolio_loss_pct: Number = Field(
        default=5.0,
        gt=0,
        le=100,
        description="Per cent of the capital lost since the start at which the gate halts and nothing is opened again.",
    )
    on_halt: Literal["keep", "flatten"] = Field(
        default="keep", description="As on_daily_loss, past a drawdown or a portfolio loss that halts the gate."
    )
    reduce_at_pct: Number | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Per cent of any of these loss limits from which only orders that reduce pass, while it is so; "
        "null: up to the limit.",
    )
    allowed_symbols: kinds.Symbols = Field(
        default=(),
        description="Instruments in which positions may be opened, as NSE:INFY or NFO:NIFTY*; empty: in all.",
    )
    allowed_products: kinds.Products = Field(
        default=(), description="Products under which positions may be opened: MIS, CNC, NRML, MTF; empty: all."
    )
    allowed_hours: kinds.Spans = Field(
        default=(),
        description="Spans of the day, IST, in which entries may be given, such as 09:20-15:00; empty: at all times.",
    )
    no_entries_after: kinds.ClockTime = Field(
        default=None, description="IST time (15:00) after which no entry is given; null: no limit."
    )


class Groups(Section):
    """Brackets and OCO groups at Kite."""

    exits: Literal["auto", "one", "two"] = Field(
        default="auto",
        description="Exits of one position that rest at Kite: one order that becomes the stop or the target with the "
        "price, or two. auto: one on a market that runs, two in lock step.",
    )
    reach_pct: Number = Field(
        default=0.3,
        gt=0,
        le=10,
        description="Per cent of a target's price at which the one order becomes the target's limit; it becomes the "
        "stop again at twice that.",
    )


class Run(Section):
    """How a run goes."""

    warmup: Literal["hold", "play"] = Field(
        default="hold", description="During warm-up next() is held back, or played with its orders denied."
    )
    sessions: Count | None = Field(
        default=None,
        gt=0,
        description="End a paper or live run after so many sessions; null: run on until it is stopped.",
    )
    renew_within: Number | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Minutes of market time that a run waits for a new token when the session is over, then it ends "
        "(exit code 4); null: until the market closes.",
    )
    engine: Literal["auto", "fast", "stock"] = Field(
        default="auto",
        description="Which loop runs a backtest. auto: the fast one wherever it is proven equal to backtrader's, else "
        "backtrader's; fast: refuse what is not proven; stock: backtrader's (docs/fast.md).",
    )
    quiet: bool = Field(default=False, description="Print the result only, no progress.")


class Alerts(Section):
    """Messages to a person, delivered by apprise (telegram, mail, slack, webhook …)."""

    urls: kinds.Secrets = Field(
        default=(), description="Addresses in apprise's notation (tgram://…, mailto://…, json://…); kept as secrets."
    )
    level: Literal["info", "warning", "error", "critical"] = Field(
        default="warning", description="Least level that is delivered; the rest is only logged."
    )
    dedupe: Number = Field(
        default=60.0, ge=0, le=86_400, description="Seconds in which an alert of the same key is sent once."
    )
    queue: Count = Field(
        default=1000,
        gt=0,
        le=100_000,
        description="Alerts that may wait for delivery at each address; beyond it the oldest is dropped, counted.",
    )
    per_minute: Count = Field(
        default=20,
        gt=0,
        le=10_000,
        description="Alerts delivered in a minute at most, critical ones aside; the rest is counted in the next.",
    )
    also: kinds.AlertKinds = Field(
        default=("summary",),
        description="Kinds that are delivered whatever their level: trade, summary … (docs/alerts.md).",
    )
    mute: kinds.AlertKinds = Field(default=(), description="Kinds that are never delivered, only kept and logged.")


class Exchange(Section):
    """The simulated exchange that `btkite exchange` and `btkite demo` start."""

    host: kinds.Text = Field(
        default="127.0.0.1", min_length=1, description="Address it listens on; keep it on this machine."
    )
    port: Count = Field(default=8765, ge=0, le=65_535, description="Port of REST and WebSocket; 0 takes a free one.")
    seed: Count = Field(default=7, ge=0, description="Seed of everything random in it: the same seed, the same day.")
    speed: kinds.Speed = Field(
        default="lockstep", description="lockstep (the client sets the pace), realtime, or market seconds a second: 60."
    )
    cash: Number = Field(default=1_000_000.0, gt=0, description="₹ in the account at the start.")
    user_id: kinds.Text = Field(default="SIM001", min_length=1, description="Client id of the account.")
    api_key: kinds.Text = Field(default="simulator", min_length=1, description="Key of the app that may log in.")
    api_secret: kinds.Text = Field(
        default="simulator", min_length=1, description="Secret of that app; it protects nothing but play money."
    )
    access_token: kinds.Text = Field(
        default="simulator", min_length=1, description="Token of that app, valid from the start without a login."
    )
    symbols: kinds.Symbols = Field(
        default=("NSE:INFY", "NSE:RELIANCE", "NSE:TCS"), description="EXCHANGE:TRADINGSYMBOL of what it trades."
    )
    interval: Literal["minute", "3minute", "5minute", "10minute", "15minute", "30minute", "60minute", "day"] = Field(
        default="minute", description="Candles that it replays, by Kite's name."
    )
    expire_tokens: bool = Field(default=True, description="Let access tokens die at 06:00 IST as Kite does.")


class Log(Section):
    """The log: JSON lines in a rotating file, and for people on stderr from warnings on."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that the file gets."
    )
    file: bool | kinds.Folder = Field(
        default=True, description="true: btkite.log in paths.state; false: no file; or the path of the file."
    )
    json_lines: bool = Field(default=False, description="JSON lines on stderr too, from log.level on, for containers.")
