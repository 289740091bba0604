"""Fixtures of this folder: the stand-in for Entra ID, as the tenant of this process, and its administrator."""

from __future__ import annotations

import pytest

from sandbox.entra import identity
from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server"]


@pytest.fixture
def tenant(entra: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A new tenant, whose administrator runs this process."""
    variables = {
        **entra.environment,
        "ARM_CLIENT_ID": identity.ADMINISTRATOR_CLIENT_ID,
        "ARM_CLIENT_SECRET": identity.ADMINISTRATOR_SECRET,
        "REQUESTS_CA_BUNDLE": str(entra.certificates.authority),
        "AZURE_AUTHORITY_HOST": entra.address,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return entra
