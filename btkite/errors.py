"""What can go wrong, graded by what the operator does next.

::

    BtkiteError
    ├ ConfigError      fix the file or the command; nothing was started
    │ └ UnknownSymbol  the instrument is not in the master (suggestions in the message)
    ├ DataError        the candles asked for are not there, or are damaged
    ├ SessionExpired   log in again; no new orders until then
    ├ NotPermitted     the plan, the IP address or the segment does not allow it; retrying is useless
    ├ OrderRefused     Kite said no; the order does not exist
    ├ OrderUncertain   Kite did not answer; look it up by tag before anything else
    ├ RuleViolation    Kite's or the regulator's rule, caught before the wire
    ├ KiteUnavailable  a read failed (network, maintenance, rate); reads may be tried again
    ├ FeedSilent       no data in market hours; entries are paused
    ├ RiskHalt         the gate is HALTED; nothing but reducing orders until `btkite resume`
    ├ WrongThread      an order was given outside Cerebro's thread; nothing was sent
    ├ JournalBroken    the journal cannot be written or read: nothing is sent until it is repaired
    └ AccountLocked    another process runs this account
"""

from __future__ import annotations


class BtkiteError(Exception):
    """The root of every error that btkite raises on purpose.

    ``result``: what there was of a run that the error ended, a :class:`~btkite.report.result.RunResult`; None if no
    run had begun.
    """

    exit_code = 1
    result: object = None


class ConfigError(BtkiteError):
    """The configuration or the command is wrong; nothing was started."""

    exit_code = 2


class UnknownSymbol(ConfigError):
    """No such instrument; the message carries suggestions."""


class DataError(BtkiteError):
    """The candles asked for are missing or damaged."""


class SessionExpired(BtkiteError):
    """The access token is dead, or there is none: log in again."""

    exit_code = 4


class KiteError(BtkiteError):
    """Kite answered with an error; its own words are kept.

    ``code`` is the HTTP status (0 when no answer came), ``error_type`` Kite's name for it.
    """

    def __init__(self, message: str, *, code: int = 0, error_type: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.error_type = error_type


class NotPermitted(KiteError):
    """Plan, IP address or segment: trying again cannot help."""


class OrderRefused(KiteError):
    """Kite said no: the order (or the change) does not exist."""


class OrderUncertain(KiteError):
    """Kite did not say: the order may exist. Look it up by its tag, never send it again blindly."""


class KiteUnavailable(KiteError):
    """A read could not be done now: network, maintenance or rate limit."""


class RuleViolation(BtkiteError):
    """A rule of Kite or of the regulator, caught before the wire."""


class FeedSilent(BtkiteError):
    """No data although the market is open."""


class RiskHalt(BtkiteError):
    """The gate is HALTED."""

    exit_code = 3


class WrongThread(BtkiteError):
    """Orders are given, changed and cancelled on Cerebro's thread alone; nothing was done."""


class AccountLocked(BtkiteError):
    """Another process runs this account; the message says which."""

    exit_code = 5


class JournalBroken(BtkiteError):
    """The journal cannot be written, or is no journal: without it no order may be sent."""

    exit_code = 6
