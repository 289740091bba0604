"""What the product's own tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def environments_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tenant is named in the environment; one that a command takes from a stack is forgotten after the test."""
    monkeypatch.setenv("ARM_TENANT_ID", "")
    monkeypatch.delenv("ARM_TENANT_ID")
