"""Every way in which a call to Kite can fail, translated into :mod:`btkite.errors`.

The question is always what the operator, or the order's journal, does next. For an order the line
runs between *Kite said no* (the order does not exist) and *Kite did not say* (it may). Sources:
https://kite.trade/docs/connect/v3/exceptions/ and the wordings that users and Zerodha's staff
report: Kite answers a time-out of its own order system with HTTP 400, and a rate limit with 429
before anything was placed. A status alone says nothing: who stands between may have written it, so
without Kite's JSON the order is looked up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import BtkiteError, KiteError, KiteUnavailable, NotPermitted, OrderRefused, OrderUncertain, SessionExpired

NOT_SENT = "NotSent"  # error_type of an order whose first byte never left
NO_ANSWER = "NoAnswer"
BAD_ANSWER = "BadAnswer"

_ADDRESS = re.compile(r"\bIP \(|No IPs configured|allowed IPs", re.IGNORECASE)
# Kite's gateway gave up on its own order system: the order may still appear, seconds later.
_GAVE_UP = re.compile(r"timed? ?out|request failed|gateway|confirm before placing again", re.IGNORECASE)
# Refusals whose status says otherwise: they come as NetworkException, like an outage.
_SAID_NO = re.compile(r"too many requests|order modifications exceeded|scheduled maintenance", re.IGNORECASE)
_DEPOSITORY = "authorise these holdings at the depository in Kite first (valid for the day)"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a failed call.

    ``code`` is the HTTP status, 0 if no answer came; ``error_type`` is Kite's own word, empty if the
    answer was not Kite's JSON; ``message`` is clean of secrets.
    """

    code: int
    error_type: str
    message: str
    sent: bool = True  # False: the connection could not even be made


def translate(failure: Failure, *, order: bool) -> BtkiteError:
    """The error to raise for a failed call; ``order`` if it would place, change or cancel one."""
    code, kind, message = failure.code, failure.error_type, failure.message
    ours = bool(kind) and code >= 400
    if ours and (kind == "TokenException" or (code == 403 and "access_token" in message)):
        return SessionExpired(f"{message} (log in again: btkite login)")
    if ours and (kind == "PermissionException" or _ADDRESS.search(message)):
        return NotPermitted(message, code=code, error_type=kind)
    return _order(failure, ours) if order else _read(failure, ours)


def _order(failure: Failure, ours: bool) -> BtkiteError:
    code, kind, message = failure.code, failure.error_type, failure.message
    if ours and code == 429:
        return OrderRefused(message or "Too many requests", code=code, error_type=kind)
    if ours and _SAID_NO.search(message):
        return OrderRefused(message, code=code, error_type=kind)
    if ours and code == 428:
        return OrderRefused(f"{message} ({_DEPOSITORY})", code=code, error_type=kind)
    if ours and code < 500 and not _GAVE_UP.search(message):
        return OrderRefused(message, code=code, error_type=kind)
    if not failure.sent:
        return OrderUncertain(f"not sent: {message}", code=0, error_type=NOT_SENT)
    return OrderUncertain(message, code=code, error_type=kind or (BAD_ANSWER if code else NO_ANSWER))


def _read(failure: Failure, ours: bool) -> BtkiteError:
    code, kind, message = failure.code, failure.error_type, failure.message
    if ours and 400 <= code < 500 and code != 429 and not _GAVE_UP.search(message):
        return KiteError(message, code=code, error_type=kind)
    if not failure.sent:
        kind = NOT_SENT
    return KiteUnavailable(message, code=code, error_type=kind or (BAD_ANSWER if code else NO_ANSWER))
