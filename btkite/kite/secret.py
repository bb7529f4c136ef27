"""Tokens and passwords: wrapped while they are held, masked where they are shown.

The access token travels in the stream's URL and in a header, and libraries like to put URLs and
headers into their error texts. Every text that leaves this room therefore goes through
:func:`redact`.
"""

from __future__ import annotations

import logging
import re
from typing import Any

_NAMES = r"(?:access_token|refresh_token|request_token|public_token|enctoken|api_secret|checksum)"
_PATTERNS = (
    (re.compile(rf"(?i)\b({_NAMES})(=|%3D)[^&\s'\"<>]+"), r"\1\2***"),
    (re.compile(rf"(?i)(['\"]{_NAMES}['\"]\s*:\s*)(['\"])[^'\"]*\2"), r"\1\2***\2"),
    (re.compile(r"(?i)\b(token)\s+[\w.~+/=-]+:[\w.~+/=-]+"), r"\1 ***"),
)


def mask(text: str) -> str:
    """``abcdef`` as ``ab…(6)``; up to four characters are hidden whole."""
    if not text:
        return ""
    return f"{text[:2]}…({len(text)})" if len(text) > 4 else f"…({len(text)})"


def redact(text: object, *secrets: str | None) -> str:
    """``text`` with every token-like part, and each of ``secrets``, replaced by ``***``."""
    clean = str(text)
    for secret in secrets:
        if secret and len(secret) > 3:
            clean = clean.replace(secret, "***")
    for pattern, replacement in _PATTERNS:
        clean = pattern.sub(replacement, clean)
    return clean


class Secret:
    """A string that shows itself only to who asks for :meth:`reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret({mask(self._value)!r})"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not pickled: reveal() it where it is used")


class RedactFilter(logging.Filter):
    """Cleans what a library logs: urllib3 writes whole request paths at DEBUG, tokens included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        return True
