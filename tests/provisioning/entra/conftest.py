"""Fixtures of this folder: the stand-in for Entra ID, as the tenant of this process."""

from __future__ import annotations

import pytest

from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server"]


@pytest.fixture
def tenant(entra: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A new tenant, which this process's environment names, and which it trusts."""
    for name, value in entra.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", entra.address)
    return entra
