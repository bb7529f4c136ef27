"""Programs that a test stops by Ctrl-C."""

from __future__ import annotations

import signal


def hear_ctrl_c() -> None:
    """``preexec_fn`` of a child that is sent SIGINT: a pytest in the background of a shell ignores it, and a child
    would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
