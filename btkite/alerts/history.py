"""History: every alert of an account in a file of lines of JSON, with what became of it.

Written by a thread of its own, so that a slow disk slows nothing; a disk that is full is a line in the log. The file
is its owner's only and is put aside at two megabytes, the one before it being kept.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..log import get_logger, redact_text

if TYPE_CHECKING:
    from . import Alert

FILE_BYTES: Final = 2_000_000
_MOST: Final = 10_000
"""Lines that may wait for the disk."""

_log = get_logger(__name__)


class History:
    """Appends to ``path``; any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_MOST)
        self._changed = threading.Condition()
        self._closing = self._broken = False
        self._worker = threading.Thread(target=self._work, name="btkite-alerts-history", daemon=True)
        self._worker.start()

    def keep(self, alert: Alert, became: str) -> None:
        """``became``: sent, logged (it is below the level, or nobody is to be told), repeated, held back."""
        self._put(
            {
                "number": alert.number,
                "time": None if alert.at is None else alert.at.isoformat(sep=" ", timespec="seconds"),
                "kind": alert.kind,
                "level": alert.level,
                "title": alert.title,
                "body": alert.body,
                "key": alert.key,
                "became": became,
            }
        )

    def became(self, alert: Alert, what: str, to: str) -> None:
        """One address has it, has refused it, or has lost it: delivered, failed, dropped."""
        if alert.number:
            self._put({"number": alert.number, "became": what, "to": to})

    def close(self, timeout: float) -> None:
        """Write what waits, for at most so many real seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._worker.join(timeout)

    def _put(self, row: dict[str, Any]) -> None:
        with self._changed:
            self._waiting.append(row)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closing:
                        return
                    self._changed.wait()
                rows = list(self._waiting)
                self._waiting.clear()
            try:
                self._write(rows)
            except OSError as error:
                if not self._broken:
                    _log.warning("the history of alerts cannot be written", path=str(self.path), error=repr(error))
                self._broken = True

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > FILE_BYTES:
            self.path.replace(older(self.path))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def older(path: Path) -> Path:
    """The file before this one."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def kept(path: Path) -> list[dict[str, Any]]:
    """The alerts of a history, oldest first, each with what became of it at last and at which addresses (``to``: scheme
    and word). A line that a crash has cut is left out."""
    found: dict[str, dict[str, Any]] = {}
    for row in _rows([older(path), path]):
        number = str(row.get("number", ""))
        if "title" in row:
            found[number] = {**row, "to": []}
        elif number in found:
            found[number]["to"].append([row["to"], row["became"]])
            if found[number]["became"] != "delivered":  # one address has it: it has arrived
                found[number]["became"] = row["became"]
    return list(found.values())


def _rows(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def chosen(
    rows: Iterable[Mapping[str, Any]],
    *,
    kinds: Iterable[str] = (),
    least: int = 0,
    levels: tuple[str, ...] = (),
    since: datetime | None = None,
    words: str = "",
) -> list[Mapping[str, Any]]:
    """Those of some ``kinds``, of a level that is at least the ``least`` of ``levels``, not before ``since``, and with
    ``words`` in title or body."""
    wanted = set(kinds)
    said = redact_text(words).lower()
    return [
        row
        for row in rows
        if (not wanted or row["kind"] in wanted)
        and (not levels or levels.index(row["level"]) >= least)
        and (since is None or (row["time"] is not None and datetime.fromisoformat(row["time"]) >= since))
        and said in f"{row['title']} {row['body']}".lower()
    ]


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How many of each kind, of each level, and of each fate."""
    rows = list(rows)
    return {
        "total": len(rows),
        "kinds": dict(Counter(row["kind"] for row in rows).most_common()),
        "levels": dict(Counter(row["level"] for row in rows).most_common()),
        "became": dict(Counter(row["became"] for row in rows).most_common()),
    }
