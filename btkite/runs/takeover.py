"""What a run that hung becomes when it is to stop (:mod:`btkite.runs.watchdog`): a program that winds its account down.

It knows no more than after a crash: the journal says what is ours, Kite's order book what became of it. The exit code
is 3 when the kill switch has done its work, 1 if something is left, and that of the error otherwise.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress

from ..clock import Bell, SystemClock
from ..config import Config
from ..errors import AccountLocked, BtkiteError, ConfigError, RiskHalt, SessionExpired
from ..log import get_logger
from ..watch.killing import close_down
from ..watch.places import Place

log = get_logger(__name__)
_TRIES = 5
WHY = "the run hung while the kill switch was engaged: its process gave itself up, and winds the account down"


def main(number: int) -> int:
    """``number``: of the pipe with what there is to know."""
    from datetime import timedelta

    with os.fdopen(number, "rb") as pipe:
        config, place, confirm = pickle.load(pipe)  # noqa: S301 - written by this very process before it changed
    clock, bell = SystemClock(), Bell()
    for left in reversed(range(_TRIES)):
        try:
            return _close(config, place, confirm)
        except (AccountLocked, ConfigError, SessionExpired) as error:
            return _failed(error)
        except BtkiteError as error:  # the market did not answer: as after a crash, once more from the beginning
            if not left:
                return _failed(error)
            log.warning("the account could not be wound down; once more", error=str(error))
            clock.wait(bell, clock.now() + timedelta(seconds=1))
    return 1


def _close(config: Config, place: Place, confirm: str | None) -> int:
    _say(WHY)
    left = close_down(
        place, confirm=confirm, config=config, because=WHY, tell=lambda at, line: _say(f"{at:%F %T}  {line}")
    )
    _say("still open: " + "; ".join(left) if left else "the kill switch has done its work")
    return 1 if left else RiskHalt.exit_code


def _failed(error: BtkiteError) -> int:
    _say(f"error: {error}")
    return error.exit_code


def _say(line: str) -> None:
    with suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
