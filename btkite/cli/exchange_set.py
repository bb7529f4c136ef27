"""``--set NAME=VALUE``: any plain setting of the exchange from the command line, checked before it starts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from ..errors import ConfigError

_OWN_OPTIONS = frozenset(
    {
        "api_key", "api_secret", "auto_token", "cache_dir", "candles", "cash", "end", "expire_tokens", "faults",
        "generate_from", "generate_sessions", "host", "interval", "port", "profile", "redirect_url", "seed", "speed",
        "start", "symbols", "user_id",
    }
)  # fmt: skip
_OBJECTS = frozenset({"apps", "funds", "instruments"})


def names() -> list[str]:
    """What can be set."""
    from ..exchange import ExchangeSettings

    return sorted(one.name for one in fields(ExchangeSettings) if one.name not in _OWN_OPTIONS | _OBJECTS)


def chosen(texts: Sequence[str], *, strict: bool) -> dict[str, Any]:
    """Fields of ``ExchangeSettings``: those of ``--strict``, and over them each ``NAME=VALUE``, the value as YAML.

    :raises ConfigError: if a name is not known or a value is not of its kind.
    """
    import yaml
    from pydantic import TypeAdapter, ValidationError

    from ..exchange import ExchangeSettings
    from ..exchange.settings import STRICT

    hints = get_type_hints(ExchangeSettings)
    found: dict[str, Any] = dict(STRICT) if strict else {}
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise ConfigError(f"--set {text}: write NAME=VALUE, as closing_auction=true")
        if name not in names():
            near = difflib.get_close_matches(name, names(), 1)
            hint = f"; did you mean {near[0]}?" if near else f"; the settings are {', '.join(names())}"
            other = "an option of its own sets it" if name in _OWN_OPTIONS else f"there is no such setting{hint}"
            raise ConfigError(f"--set {text}: {other}")
        try:
            found[name] = TypeAdapter(hints[name]).validate_python(yaml.safe_load(value))
        except yaml.YAMLError:
            raise ConfigError(f"--set {text}: {value!r} is no YAML value") from None
        except ValidationError as error:
            raise ConfigError(f"--set {text}: {error.errors()[0]['msg'].lower()}") from None
    return found
