"""What the product's own tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def environments_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tenant is named in the environment; one that a command takes from a stack is forgotten after the test."""
    monkeypatch.setenv("ARM_TENANT_ID", "")
    monkeypatch.delenv("ARM_TENANT_ID")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Started programs hear SIGINT, also where the tests run in a shell's background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
