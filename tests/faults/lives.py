"""Starting :mod:`tests.faults.life` as a process of its own, and what it told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from btkite.testing import KiteExchange

LIFE = Path(__file__).with_name("life.py")
ROOT = LIFE.parents[2]


def life(exchange: KiteExchange, folder: Path, plan: str, death: str = "never") -> list[dict[str, Any]]:
    """One process, to its end or its death; what its strategy heard."""
    heard = folder / "told.jsonl"
    before = len(heard.read_text().splitlines()) if heard.exists() else 0
    keys = {"LIFE_KEY": exchange.api_key, "LIFE_TOKEN": exchange.access_token, "LIFE_USER": exchange.user_id}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BTKITE_", "KITE_"))}
    done = subprocess.run(
        [sys.executable, str(LIFE), exchange.url, str(folder), plan, death],
        env={**kept, **keys, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    wanted = 0 if death == "never" else -signal.SIGKILL
    assert done.returncode == wanted, done.stderr[-2000:]
    return [json.loads(line) for line in heard.read_text().splitlines()[before:]] if heard.exists() else []


def sent_after(exchange: KiteExchange, number: int) -> list[str]:
    """What was asked of the exchange after its ``number``-th request, as ``METHOD path``."""
    return [f"{row['method']} {row['path'].split('?')[0]}" for row in exchange.requests()[number:]]
