"""What the product's own tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from provisioning.cli import signs_of_life
from provisioning.entra.sign_in_settings import use_configuration


@pytest.fixture(autouse=True)
def environments_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tenant is named in the environment, nor the sign-in of a stack that an earlier test was about."""
    monkeypatch.delenv("ARM_TENANT_ID", raising=False)
    use_configuration({})


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command says that it waits, however long a busy machine takes; whoever tests that says when it does."""
    monkeypatch.setattr(signs_of_life, "EVERY", float("inf"))
    monkeypatch.setattr(signs_of_life, "SHOWN_AFTER", float("inf"))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Started programs hear SIGINT, also where the tests run in a shell's background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
