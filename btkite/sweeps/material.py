"""A sweep's candles as files that every worker maps into its memory: read once, whoever reads them.

A file's name is the hash of its numbers, so that it can be held against what it should be, and is written once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..series import PRICES, Candles

_COLUMNS = (*PRICES, "volume", "oi")


@dataclass(frozen=True, slots=True)
class Material:
    """One symbol's candles in a file: eight bytes a number, a row a column, the starts first."""

    key: str
    interval: str
    path: str
    digest: str
    source: str = ""


def lay_out(candles: Mapping[str, Candles], folder: Path) -> tuple[Material, ...]:
    """Each symbol's candles into ``folder``, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for key, one in candles.items():
        digest = one.digest()
        path = folder / f"{digest}.npy"
        if not path.exists():
            table = np.empty((1 + len(_COLUMNS), len(one)))
            table[0].view(np.int64)[:] = one.start.astype("datetime64[s]").view(np.int64)
            for row, name in enumerate(_COLUMNS, 1):
                table[row] = getattr(one, name)
            draft = path.with_name(f".{digest}.{os.getpid()}")
            with draft.open("wb") as file:
                np.save(file, table)
            draft.replace(path)
        found.append(Material(key, one.interval, str(path.resolve()), digest, one.source))
    return tuple(found)


def taken_up(material: Material) -> Candles:
    """The candles, without a copy of them.

    :raises DataError: if the file is not there, or is another one.
    """
    try:
        table = np.asarray(np.load(material.path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{material.path} cannot be read here ({error}): the sweep's folder must be one that every worker sees "
            "(--store)"
        ) from error
    start = table[0].view(np.int64).view("datetime64[s]")
    columns = {name: table[row] for row, name in enumerate(_COLUMNS, 1)}
    candles = Candles(material.key, material.interval, start, source=material.source, **columns)
    if candles.digest() != material.digest:
        raise DataError(f"{material.path} is not what it was: delete it and start the sweep again")
    return candles
