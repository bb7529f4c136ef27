"""The account's lock: one live process per account and journal, and a note on who holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..clock import Clock
from ..errors import AccountLocked


def account_folder(state: Path, endpoint: str, account: str, mode: str) -> Path:
    """Where the lock, the kill switch and the journal of one account lie, of each endpoint and mode apart."""
    return state / endpoint.replace(":", "-") / (account or "account") / mode


class AccountLock:
    """One live process per account and journal.

    The operating system holds the lock on the file ``path`` and lets go of it when the process dies, however
    it dies. Beside it lies a note on the owner, renewed by :meth:`beat`: for the message to a second start, and
    for file systems shared by machines that do not lock for each other. ``command`` is what was started,
    without secrets.
    """

    STALE = timedelta(seconds=90)
    """After this long without a beat, another machine's owner is taken for dead."""

    def __init__(self, path: str | os.PathLike[str], clock: Clock, *, command: str = "") -> None:
        self.path = Path(path)
        self._note = self.path.with_name(self.path.name + ".owner")
        self._clock = clock
        self._command = command or Path(sys.argv[0]).name
        self._since = ""
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the account, or raise :class:`AccountLocked`, saying who has it."""
        if self._file is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _try_lock(file):
            os.close(file)
            raise AccountLocked(self._sentence(self.owner()))
        owner = self.owner()
        if owner and owner.get("host") != socket.gethostname() and self._fresh(owner):
            os.close(file)
            raise AccountLocked(self._sentence(owner))
        self._file = file
        self._since = self._now()
        self.beat()

    def beat(self) -> None:
        """Say that the owner lives. Every half minute or so."""
        if self._file is None:
            raise AccountLocked(f"the account's lock {self.path} is not held by this process")
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": self._since,
            "beat": self._now(),
            "command": self._command,
        }
        fresh = self._note.with_name(f"{self._note.name}.{os.getpid()}")
        fresh.write_text(json.dumps(note), encoding="utf-8")
        fresh.replace(self._note)

    def owner(self) -> dict[str, Any]:
        """What the last owner wrote of itself; empty if there is nothing to read."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def release(self) -> None:
        """Give the account back. Releasing twice is harmless."""
        if self._file is None:
            return
        self._note.unlink(missing_ok=True)
        # The lock's own file stays: removing it would let two processes lock two files of one name.
        os.close(self._file)
        self._file = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _now(self) -> str:
        return self._clock.now().isoformat(sep=" ", timespec="seconds")

    def _fresh(self, owner: Mapping[str, Any]) -> bool:
        try:
            beat = datetime.fromisoformat(str(owner.get("beat")))
        except ValueError:
            return False
        return abs(self._clock.now() - beat) < self.STALE

    def _sentence(self, owner: Mapping[str, Any]) -> str:
        if not owner:
            return f"another process runs this account (lock {self.path}): end it first"
        return (
            f"another process runs this account: {owner.get('command')}, pid {owner.get('pid')} on "
            f"{owner.get('host')}, since {owner.get('since')} IST (lock {self.path}): end it first"
        )


if sys.platform == "win32":  # pragma: no cover - this half runs on Windows only
    import msvcrt

    def _try_lock(file: int) -> bool:
        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
