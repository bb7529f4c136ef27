"""The kill switch: a file, so that any thread and any process can read it, and a restart finds it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


class KillSwitch:
    """A file that means *stop*: it survives a restart, and ``touch`` is enough to set it.

    ``path`` is in the account's state folder. What cannot be read counts as engaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def engage(self, reason: str, now: datetime | None = None, *, flatten: bool = False) -> bool:
        """Set it, durably; ``flatten``: what is held is to be closed, too. False if all that was set already; the
        first reason stays."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        at = "" if now is None else now.isoformat(sep=" ", timespec="seconds")
        try:
            self._write(self.path, {"reason": reason, "at": at, "flatten": flatten})
        except FileExistsError:
            if not flatten or self.flatten:
                return False
            draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)
            self._write(draft, {**self._note(), "flatten": True})
            draft.replace(self.path)
        self._sync_folder()
        return True

    @staticmethod
    def _write(path: Path, note: Mapping[str, Any]) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, json.dumps(note).encode())
            os.fsync(file)
        finally:
            os.close(file)

    def engaged(self) -> bool:
        """True from :meth:`engage` to :meth:`rearm`, in every process; True too if that cannot be told."""
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    @property
    def reason(self) -> str:
        """Why, and since when; empty if it is not engaged."""
        if not self.engaged():
            return ""
        note = self._note()
        reason, at = str(note["reason"]), str(note["at"])
        return f"{reason}, since {at}" if at else reason

    @property
    def flatten(self) -> bool:
        """Whether positions are to be closed, too."""
        return self.engaged() and bool(self._note()["flatten"])

    def _note(self) -> dict[str, Any]:
        """What was said when it was set; a file that somebody made by hand says at most why."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {"reason": "", "at": "", "flatten": False}
        except (OSError, UnicodeDecodeError):
            return {"reason": "its file cannot be read", "at": "", "flatten": False}
        try:
            note = json.loads(text)
            return {"reason": note["reason"], "at": note["at"], "flatten": bool(note.get("flatten"))}
        except (ValueError, KeyError, TypeError):
            return {"reason": text.strip() or "set by hand", "at": "", "flatten": False}

    def rearm(self) -> bool:
        """Take it back, durably; False if it was not set."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        self._sync_folder()
        return True

    def _sync_folder(self) -> None:
        if os.name == "nt":  # a folder cannot be opened there, and its entries are written through
            return
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
