"""One day of chaos as a value: the market, the strategy, what goes wrong and when. Drawn from a seed, or read from a
script, which is the same as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..series import Candles
from .acts import LOGIN, Act
from .boundaries import Boundary
from .lives import Script

FORMAT = 1
DATE = datetime(2026, 11, 18)
OPEN = DATE + timedelta(hours=9, minutes=15)
WARMUP = 5
"""Bars of history before the first one that is traded."""
TAIL = 4
"""Bars at the end in which nothing goes wrong any more: what nobody knows is decided after 90 seconds."""
LONGEST = 360
"""Minutes of storm that a session has room for."""
TIMEOUT = 1.5
"""Real seconds that the client waits for an answer; no market time passes meanwhile."""
RESTLESS = "btkite.checks.restless:Restless"
SYMBOLS = ("NSE:INFY", "NSE:TCS")
_PRICES = {
    "NSE:INFY": 1500.0,
    "NSE:TCS": 3000.0,
    "NSE:SBIN": 800.0,
    "BSE:INFY": 1500.0,
    "NFO:NIFTY26NOVFUT": 26000.0,
    "NFO:BANKNIFTY26NOVFUT": 58000.0,
}
_USUAL = 1000.0
_TICK = 0.05

KEYS: Mapping[str, Any] = {
    "broker.capital": 1e7,
    "risk.enabled": False,
    "data.warmup": WARMUP,
    "alerts.urls": [],
    "log.level": "debug",
    "broker.kite_connect.timeout": TIMEOUT,
}
"""No limits of risk: what is tested is whether orders live and die truly. A scenario's own keys win."""
SETTINGS: Mapping[str, Any] = {"check_trigger_side": True, "check_margin": True}
"""The exchange refuses what Kite would refuse."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``faults`` as ``POST /_exchange/faults`` takes them; ``deaths``: boundaries at which the process is killed, one
    life after the other; ``keys`` of the configuration and ``settings`` of the exchange besides the usual ones."""

    seed: int
    minutes: int
    strategy: str = RESTLESS
    symbols: tuple[str, ...] = SYMBOLS
    params: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()
    acts: tuple[Act, ...] = ()
    deaths: tuple[str, ...] = ()

    @property
    def ends(self) -> datetime:
        """When the storm is over."""
        return OPEN + timedelta(minutes=WARMUP + self.minutes)

    @property
    def policy(self) -> str:
        """``broker.foreign``: what orders of others mean."""
        return str(self.keys.get("broker.foreign", "halt"))

    @property
    def product(self) -> str:
        """What the run trades: Kite's product."""
        return str(self.keys.get("broker.default_product", "MIS"))

    @property
    def fatal(self) -> list[Boundary]:
        return [Boundary.parse(one) for one in self.deaths]

    def shortened(self, minutes: int) -> Scenario:
        """The first ``minutes`` of it; faults end where it ends."""
        ends = replace(self, minutes=minutes).ends
        acts = tuple(act for act in self.acts if act.at < ends)
        faults = tuple(fault for fault in self.faults if _moment(fault, "at", OPEN) < ends)
        return replace(self, minutes=minutes, acts=acts, faults=tuple(_ended(one, ends) for one in faults))

    def script(self) -> Script:
        """As it is played."""
        return Script(
            strategy=self.strategy,
            candles=candles(self),
            params=self.params,
            keys={**KEYS, **self.keys},
            start=OPEN + timedelta(minutes=WARMUP) - timedelta(seconds=5),
            seconds=60,
            settings={**SETTINGS, **self.settings, "faults": list(self.faults)},
            acts=self.acts,
            login=any(act.what == LOGIN for act in self.acts),
        )

    # -- as text --------------------------------------------------------------------------------------

    def text(self) -> str:
        """A script that replays it."""
        rows = {
            "chaos": FORMAT,
            "seed": self.seed,
            "minutes": self.minutes,
            "strategy": self.strategy,
            "symbols": list(self.symbols),
            "params": list(self.params),
            "keys": dict(self.keys),
            "settings": dict(self.settings),
            "faults": [dict(one) for one in self.faults],
            "acts": [{"at": act.at.isoformat(), "what": act.what, "fields": dict(act.fields)} for act in self.acts],
            "deaths": list(self.deaths),
        }
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """What :meth:`text` wrote.

        :raises ConfigError: in one sentence, if it is none.
        """
        try:
            rows = json.loads(text)
            if not isinstance(rows, dict) or rows.get("chaos") != FORMAT:
                raise ConfigError(f'a script of chaos is a JSON object with "chaos": {FORMAT}')
            acts = [Act(datetime.fromisoformat(row["at"]), row["what"], row["fields"]) for row in rows["acts"]]
            found = cls(
                seed=int(rows["seed"]),
                minutes=int(rows["minutes"]),
                strategy=str(rows["strategy"]),
                symbols=tuple(map(str, rows["symbols"])),
                params=tuple(map(str, rows["params"])),
                keys=dict(rows["keys"]),
                settings=dict(rows["settings"]),
                faults=tuple(map(dict, rows["faults"])),
                acts=tuple(acts),
                deaths=tuple(map(str, rows["deaths"])),
            )
            _ = found.fatal
        except KeyError as error:
            raise ConfigError(f"the script has no {error}") from None
        except (TypeError, ValueError, ConfigError) as error:
            raise ConfigError(f"the script cannot be read: {error}") from None
        found.check()
        return found

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """A script file.

        :raises ConfigError: if there is none, or it is no script.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the script {path} cannot be read: {error}") from None
        return cls.parse(text)

    def check(self) -> None:
        """Whether it can be played at all.

        :raises ConfigError: in one sentence.
        """
        from ..exchange.errors import BadSettings
        from ..exchange.faults.armed import read_fault

        in_a_session(self.minutes)
        if not self.symbols:
            raise ConfigError("name at least one symbol, for example NSE:INFY")
        for fault in self.faults:
            try:
                read_fault(1, fault)
            except BadSettings as error:
                raise ConfigError(f"a fault of the script: {error}") from None


def in_a_session(minutes: int) -> None:
    """:raises ConfigError: for minutes that no session has room for."""
    if not 1 <= minutes <= LONGEST:
        raise ConfigError(f"minutes are from 1 to {LONGEST}: a session has no more")


def _moment(fault: Mapping[str, Any], name: str, default: datetime) -> datetime:
    text = (fault.get("match") or {}).get(name)
    return default if text is None else datetime.fromisoformat(text).replace(tzinfo=None)


def _ended(fault: Mapping[str, Any], ends: datetime) -> Mapping[str, Any]:
    """The same, but not after ``ends``: neither what it hits nor what lasts."""
    match = dict(fault.get("match") or {})
    match["until"] = ist(min(_moment(fault, "until", ends), ends))
    args = dict(fault.get("args") or {})
    return {**fault, "match": match, "args": args}


def ist(moment: datetime) -> str:
    """A naive moment as the exchange's control surface reads it."""
    return f"{moment.isoformat()}+05:30"


def candles(scenario: Scenario) -> dict[str, Candles]:
    """The minutes of the day: a walk with jumps. A shorter day of the same seed begins alike."""
    return {key: _walk(scenario.seed, key, WARMUP + scenario.minutes + TAIL) for key in scenario.symbols}


def _walk(seed: int, key: str, count: int) -> Candles:
    rng = np.random.default_rng([seed, *key.encode()])
    price = _PRICES.get(key, _USUAL)
    rows: list[Sequence[float]] = []
    starts: list[datetime] = []
    for minute in range(count):
        far, high, low, volume, jump, scale = rng.normal(), rng.random(), rng.random(), rng.random(), rng.random(), 1.0
        if jump < 0.06:
            scale = 4.0
        step = price * 0.0007 * scale
        opens = price + (step * far / 2 if jump < 0.02 else 0.0)
        closes = price + step * far
        top, bottom = max(opens, closes) + step * high * 0.6, min(opens, closes) - step * low * 0.6
        rows.append([_tick(one) for one in (opens, top, bottom, closes)] + [100 + int(volume * 5000)])
        starts.append(OPEN + timedelta(minutes=minute))
        price = _tick(closes)
    table = np.array(rows)
    columns = {name: table[:, place] for place, name in enumerate(("open", "high", "low", "close", "volume"))}
    return Candles.of(key, "minute", {"date": np.array(starts, dtype="datetime64[s]"), **columns})


def _tick(price: float) -> float:
    return round(round(price / _TICK) * _TICK, 2)
