"""Which account is meant: its folder of journal, lock, kill switch and status, by mode, configuration and endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..config import Config, load
from ..errors import ConfigError
from ..journal import account_folder
from ..kite import endpoints
from ..modes import MODES, Mode
from ..modes import mode as mode_of
from ..served import BUILT_IN, account_of, address, is_built_in


@dataclass(frozen=True, slots=True)
class Place:
    """Where the account ``account`` of one ``endpoint`` and ``mode`` lies."""

    account: str
    mode: str
    endpoint: str
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def kill(self) -> Path:
        return self.folder / "kill"

    @property
    def status(self) -> Path:
        """What the run says of itself every few seconds."""
        return self.folder / "status.json"

    @property
    def alerts(self) -> Path:
        """Every alert of its runs, and what became of it."""
        return self.folder / "alerts.jsonl"

    @property
    def touched(self) -> datetime:
        """When a run last wrote anything of it, by the file system; to choose among several. (A kill switch is set for
        all of them at once.)"""
        beside = [*self.folder.glob("journal.sqlite*"), self.status, Path(f"{self.lock}.owner")]
        stamps = [path.stat().st_mtime for path in beside if path.exists()]
        return datetime.fromtimestamp(max(stamps, default=0.0))

    def __str__(self) -> str:
        return f"{self.account} ({self.mode} on {self.endpoint})"


def places(
    mode: str | Mode, config: Config | str | Path | None, endpoint: str | None, *, purpose: str = "looked at"
) -> list[Place]:
    """The accounts that this mode, configuration and endpoint may mean: the endpoint ``simulator`` is an exchange
    that serves, or one that the run starts for itself, each with an account of its own. ``purpose``: what they are
    wanted for, for the sentence.

    :raises ConfigError: if there is no such mode, or it keeps no account, or nobody said whose it is.
    """
    keeping = [name for name, row in MODES.items() if row.journal]
    if not isinstance(mode, Mode) and mode not in MODES:
        raise ConfigError(f"there is no mode {mode!r} that keeps an account: use {' or '.join(keeping)}")
    facts = mode_of(mode)
    if not facts.journal:
        raise ConfigError(f"{facts.name} keeps no account that could be {purpose}: use {' or '.join(keeping)}")
    settings = config if isinstance(config, Config) else load(config)
    if endpoint is not None:
        settings = settings.with_(**{"broker.kite_connect.endpoint": endpoint})
    account = account_of(settings)
    if is_built_in(settings):
        names = [BUILT_IN, endpoints.resolve(address(settings)).name]
    else:
        names = [endpoints.resolve(settings.broker.kite_connect.endpoint).name]
    if facts.arm and not account:
        raise ConfigError("whose account is it? set broker.kite_connect.user_id (KITE_USER_ID)")
    state = Path(settings.paths.state)
    return [
        Place(account or "account", facts.name, name, account_folder(state, name, account, facts.name))
        for name in dict.fromkeys(names)
    ]


def likeliest(found: Sequence[Place]) -> Place:
    """Of several, the one that was written to last; the last one if none ever was."""
    return max(reversed(found), key=lambda place: place.touched)
