"""The pytest plugin: fixtures for strategy tests. Costs nothing until one of them is used."""

from __future__ import annotations
