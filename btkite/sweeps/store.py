"""What a sweep has found so far, on disk: a line a row, each with its checksum.

The folder belongs to one strategy source, one set of candles and one set of settings: :func:`fingerprint`. A row's
key is its parameters and its days. A line that a kill has torn is no row, and is worked out again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..clock import SystemClock
from ..errors import AccountLocked, ConfigError
from ..journal import AccountLock
from ..report.result import plain
from .space import text_of
from .splits import Window

Row = dict[str, Any]
NAME = "rows.jsonl"
_SYNC = 1.0
"""Seconds after which what was written is on the disk also if the machine dies."""


def canonical(value: Any) -> str:
    """One text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def fingerprint(context: Mapping[str, Any]) -> str:
    """Of all that decides what a set comes to."""
    return hashlib.sha256(canonical(context).encode()).hexdigest()


def key_of(params: Mapping[str, Any], window: Window) -> str:
    """Of a row within its folder."""
    said = {name: [type(value).__name__, text_of(value)] for name, value in params.items()}
    return hashlib.sha256(canonical([said, window.said()]).encode()).hexdigest()[:24]


class Store:
    """Rows by key. One process at a time has it open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, Row] = {}
        self.torn = 0
        """Lines that are no rows."""
        self._lock = AccountLock(folder / "lock", SystemClock(), command="btkite sweep")
        self._file = -1
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        """:raises ConfigError: if another process has it, or it cannot be written."""
        try:
            self._lock.acquire()
        except AccountLocked:
            owner = self._lock.owner()
            raise ConfigError(
                f"another process is at this very sweep (pid {owner.get('pid')} on {owner.get('host')}, since "
                f"{owner.get('since')}): wait for it, or end it"
            ) from None
        except OSError as error:
            raise ConfigError(f"the sweep's folder {self.folder} cannot be made: {error.strerror}") from error
        self._read()
        self._file = os.open(self.folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1
        self._lock.release()

    def _read(self) -> None:
        path = self.folder / NAME
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
        self.rows, self.torn = {}, 0
        for line in content.split(b"\n"):
            checksum, _, text = line.partition(b" ")
            if checksum != _checksum(text):
                self.torn += bool(line)
                continue
            said = json.loads(text)
            self.rows[said["key"]] = said["row"]

    def put(self, key: str, row: Row) -> Row:
        """Keep a row; gives it back as it will be read. A failure that was the machine's is not kept."""
        text = json.dumps({"key": key, "row": row}, ensure_ascii=False, allow_nan=False, default=_plain).encode()
        kept: Row = json.loads(text)["row"]
        if not row.get("again"):
            os.write(self._file, _checksum(text) + b" " + text + b"\n")
            self.rows[key] = kept
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file)
                self._synced = time.monotonic()
        return kept

    def clear(self) -> None:
        """Forget all rows."""
        os.ftruncate(self._file, 0)
        self.rows = {}


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _plain(value: Any) -> Any:
    made = plain(value)
    return made if made is not value else text_of(value)
