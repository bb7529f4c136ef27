"""The files that ``btkite exchange`` reads: an account, and a script of faults. YAML or JSON, one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..errors import ConfigError

ACCOUNT_KEYS = ("cash", "commodity_cash", "user_id", "user_name", "holdings", "apps")


def read(path: Path) -> Any:
    """A YAML or JSON file. Raises ConfigError."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        return yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{where}: this is neither YAML nor JSON") from None


def account(path: Path) -> dict[str, Any]:
    """Fields of ``ExchangeSettings`` from an account file. Raises ConfigError."""
    found = read(path)
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path} must be a mapping with some of {', '.join(ACCOUNT_KEYS)}")
    unknown = [str(key) for key in found if key not in ACCOUNT_KEYS]
    if unknown:
        raise ConfigError(f"{path}: {unknown[0]} is not known; an account has {', '.join(ACCOUNT_KEYS)}")
    given: dict[str, Any] = {}
    for name in ("cash", "commodity_cash"):
        if name in found:
            given[name] = _amount(path, name, found[name])
    for name in ("user_id", "user_name"):
        if name in found:
            given[name] = str(found[name])
    if found.get("holdings") is not None:
        given["holdings"] = _holdings(path, found["holdings"])
    if found.get("apps") is not None:
        given["apps"] = _apps(path, found["apps"])
    return given


def _amount(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ConfigError(f"{path}: {name} is {value!r}; give rupees, zero or more")
    return float(value)


def _holdings(path: Path, rows: Any) -> dict[str, tuple[int, float]]:
    shape = "NSE:INFY: {quantity: 10, average_price: 1450.5}"
    if not isinstance(rows, Mapping):
        raise ConfigError(f"{path}: holdings are written as {shape}")
    found = {}
    for key, row in rows.items():
        if isinstance(row, Mapping) and set(row) == {"quantity", "average_price"}:
            quantity, price = row["quantity"], row["average_price"]
        elif isinstance(row, (list, tuple)) and len(row) == 2:
            quantity, price = row
        else:
            raise ConfigError(f"{path}: the holding {key} is written as {shape}")
        if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
            raise ConfigError(
                f"{path}: the holding {key} has a quantity of {quantity!r}; give a whole number from 1 on"
            )
        found[str(key)] = (quantity, _amount(path, f"the average_price of {key}", price))
    return found


def _apps(path: Path, rows: Any) -> tuple[Any, ...]:
    from ..exchange.apps import App

    known = [one.name for one in fields(App)]
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: apps are a list, each with api_key and api_secret")
    apps = []
    for place, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or not row.get("api_key") or not row.get("api_secret"):
            raise ConfigError(f"{path}: app {place} needs api_key and api_secret")
        unknown = [str(key) for key in row if key not in known]
        if unknown:
            raise ConfigError(f"{path}: app {place}: {unknown[0]} is not known; an app has {', '.join(known)}")
        texts = {name: str(value) for name, value in row.items() if name not in ("app_id", "refresh_tokens")}
        rest = {name: row[name] for name in ("app_id", "refresh_tokens") if name in row}
        apps.append(App(**{"app_id": place + 1, **texts, **rest}))
    return tuple(apps)


def faults(path: Path) -> list[dict[str, Any]]:
    """A script of faults: a list of entries as ``POST /_exchange/faults`` takes them. Raises ConfigError."""
    found = read(path)
    if isinstance(found, Mapping) and set(found) == {"faults"}:
        found = found["faults"]
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise ConfigError(f"{path} must be a list of faults, such as: - {{kind: html_502, match: {{nth: 3}}}}")
    return [_plain(dict(entry)) for entry in found]


def _plain(value: Any) -> Any:
    """YAML's own dates as the texts that they were."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, (date, datetime)) else value
