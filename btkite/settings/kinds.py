"""The kinds of value a key may have, with what pydantic's own types would wave through.

YAML 1.1 reads ``yes`` as a truth value and ``15:20`` as the number 920, and pydantic takes a truth
value for 1.0. A limit in rupees must not come out of such an accident.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

from ..values import ALERT_KINDS, Security

AUTO: Final = Path("auto")
_HOURS_MINUTES: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_ENDPOINT: Final = re.compile(r"kite|sandbox|simulator(:[1-9]\d{0,4})?")
_NEXT_ADDRESS: Final = re.compile(r"[\s,]+(?=[A-Za-z0-9]+://)")
_PLACEHOLDER: Final = re.compile(r"your[ _-].*|<.*>", re.IGNORECASE)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _text(value: Any) -> Any:
    """Text may be left empty in YAML (``user_id:``), which reads as null."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        # 0123 has already become 83: the figures the file shows are lost, so do not guess.
        raise ValueError("must be text: put it in quotes")
    return value


def _credential(value: Any) -> Any:
    """A placeholder such as ``your_api_key_here`` counts as not set."""
    value = _text(value)
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(plain, str):
        return value
    plain = plain.strip()
    if plain.startswith("${"):
        raise ValueError("must be a value: btkite fills in no ${…}, leave it empty and set the environment variable")
    return "" if _PLACEHOLDER.fullmatch(plain) else plain


def _clock_time(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        value = f"{value // 60}:{value % 60:02}"  # YAML 1.1 reads an unquoted 15:20 as 15 * 60 + 20
    found = _HOURS_MINUTES.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be null or a time of day in IST such as 15:20")
    return f"{int(found[1]):02}:{found[2]}"


def _words(value: Any) -> Any:
    """A list may come from an environment variable as words between commas or blanks."""
    if value is None:
        return ()
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _capitals(value: Any) -> Any:
    """``mis`` is MIS, and a list of such words."""
    if isinstance(value, str):
        return value.upper()
    return tuple(map(_capitals, value)) if isinstance(value, (list, tuple)) else value


def _addresses(value: Any) -> Any:
    """An address may hold commas: a new one begins where a scheme does."""
    if value is None:
        return ()
    return tuple(_NEXT_ADDRESS.split(value.strip())) if isinstance(value, str) else value


def _rows(value: Any) -> Any:
    """From an environment variable, rows stand between semicolons."""
    if value is None:
        return ()
    return tuple(row.strip() for row in value.split(";") if row.strip()) if isinstance(value, str) else value


def _securities(value: Any) -> Any:
    """A table of YAML, or rows ``NSE:NIFTYBEES equity_etf``."""
    rows = [f"{key} {kind}" for key, kind in value.items()] if isinstance(value, Mapping) else _rows(value)
    found: dict[str, str] = {}
    for row in rows:
        symbol, _, kind = str(row).strip().partition(" ")
        exchange, _, name = symbol.upper().partition(":")
        kind = kind.strip()
        if exchange not in ("NSE", "BSE") or not name or kind not in get_args(Security):
            kinds = ", ".join(get_args(Security))
            raise ValueError(f"must have rows as 'NSE:NIFTYBEES equity_etf' (NSE or BSE; {kinds}), not {row!r}")
        if kind.startswith("bse_") and exchange != "BSE":
            raise ValueError(f"must not say {kind} of {symbol}: it is a group of BSE's")
        found[f"{exchange}:{name}"] = kind
    return tuple(f"{key} {kind}" for key, kind in found.items())


def _date(value: Any) -> Any:
    if value in (None, ""):
        return None
    if isinstance(value, datetime) or not isinstance(value, (date, str)):
        raise ValueError("must be null or a date as 2027-12-31")
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be null or a date as 2027-12-31") from None


def _symbol(value: str) -> str:
    exchange, colon, name = value.partition(":")
    if not (colon and exchange and name):
        raise ValueError("must be EXCHANGE:TRADINGSYMBOL, such as NSE:RELIANCE")
    return value.upper()


def _span(value: str) -> str:
    begin, dash, end = value.partition("-")
    ends = [_HOURS_MINUTES.fullmatch(one) for one in (begin, end)]
    if not dash or None in ends:
        raise ValueError("must be spans of the day in IST such as 09:20-15:00")
    first, last = (f"{int(found[1]):02}:{found[2]}" for found in ends if found)
    if first >= last:
        raise ValueError("must be spans of the day in IST that begin before they end, such as 09:20-15:00")
    return f"{first}-{last}"


def _alert_kind(value: str) -> str:
    if value not in ALERT_KINDS:
        raise ValueError(f"must be some of {', '.join(ALERT_KINDS)}")
    return value


def _endpoint(value: str) -> str:
    if _ENDPOINT.fullmatch(value):
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be kite, sandbox, simulator, simulator:PORT or an address as http://HOST:PORT")
    return value.rstrip("/")


def _redirect(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http(s) address, the redirect URL registered for the app at developers.kite.trade")
    return value


def _proxy(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if value.get_secret_value() and (parts.scheme != "http" or not parts.hostname or parts.path.strip("/")):
        raise ValueError("must be an HTTP proxy as http://HOST:PORT, or null")
    return value


def _protection(value: float) -> float:
    if value != -1 and not 0 < value <= 100:
        raise ValueError("must be -1 (Kite's own) or above 0 and at most 100")
    return value


def _speed(value: Any) -> Any:
    if value in ("lockstep", "realtime"):
        return value
    try:
        speed = float(_number(value))
    except (TypeError, ValueError):
        speed = 0.0
    if not 0 < speed <= 100_000:
        raise ValueError("must be lockstep, realtime or a number above 0 and at most 100000")
    return speed


def _environment(info: ValidationInfo) -> Mapping[str, str]:
    context = info.context or {}
    found: Mapping[str, str] = context.get("env", os.environ)
    return found


def _home(info: ValidationInfo, variable: str, windows: str, unix: str) -> Path:
    """The desktop's own place for such files: XDG's, or on Windows the local application data."""
    environment = _environment(info)
    if environment.get(variable):
        return Path(environment[variable]) / "btkite"
    if os.name == "nt" and environment.get(windows):
        return Path(environment[windows]) / "btkite"
    return Path(unix).expanduser() / "btkite"


def _cache_folder(value: Any, info: ValidationInfo) -> Any:
    if value in (None, "", "auto", AUTO):
        return _home(info, "XDG_DATA_HOME", "LOCALAPPDATA", "~/.local/share") / "candles"
    return value


def _state_folder(value: Any, info: ValidationInfo) -> Any:
    if value in (None, "", "auto", AUTO):
        return _home(info, "XDG_STATE_HOME", "LOCALAPPDATA", "~/.local/state")
    return value


def _folder(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("must be a folder: there is no home folder to put for ~") from None


def _set_path(value: Any) -> Any:
    if value in (None, ""):
        raise ValueError("must be a folder, it is empty")
    return value


Number = Annotated[float, BeforeValidator(_number)]
Count = Annotated[int, BeforeValidator(_number)]
Text = Annotated[str, BeforeValidator(_text)]
Credential = Annotated[str, BeforeValidator(_credential)]
Secret = Annotated[SecretStr, BeforeValidator(_credential)]
Proxy = Annotated[SecretStr, AfterValidator(_proxy), BeforeValidator(_credential)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_addresses)]
ClockTime = Annotated[str | None, BeforeValidator(_clock_time)]
Product = Annotated[Literal["MIS", "CNC", "NRML", "MTF"], BeforeValidator(_capitals)]
Products = Annotated[tuple[Product, ...], BeforeValidator(_words)]
Spans = Annotated[tuple[Annotated[str, AfterValidator(_span)], ...], BeforeValidator(_words)]
Symbols = Annotated[tuple[Annotated[str, AfterValidator(_symbol)], ...], BeforeValidator(_words)]
AlertKinds = Annotated[tuple[Annotated[str, AfterValidator(_alert_kind)], ...], BeforeValidator(_words)]
Securities = Annotated[tuple[str, ...], BeforeValidator(_securities)]
Rows = Annotated[tuple[str, ...], BeforeValidator(_rows)]
Day = Annotated[date | None, BeforeValidator(_date)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Redirect = Annotated[str, AfterValidator(_redirect)]
Protection = Annotated[Number, AfterValidator(_protection)]
Speed = Annotated[str | float, BeforeValidator(_speed)]
Folder = Annotated[Path, BeforeValidator(_set_path), AfterValidator(_folder)]
CacheFolder = Annotated[Path, AfterValidator(_folder), BeforeValidator(_cache_folder)]
StateFolder = Annotated[Path, AfterValidator(_folder), BeforeValidator(_state_folder)]
