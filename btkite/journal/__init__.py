"""What happened, written down before it matters: append-only, durable, hash-chained; and the account's lock.

:mod:`~btkite.journal.events` is the journal, :mod:`~btkite.journal.schema` its format and how an older one becomes
this one, :mod:`~btkite.journal.lock` who may write.
"""

from .events import Event, Journal, canonical
from .lock import AccountLock, account_folder
from .schema import GENESIS

__all__ = ["GENESIS", "AccountLock", "Event", "Journal", "account_folder", "canonical"]
