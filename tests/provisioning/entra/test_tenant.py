"""The tenant that a stack names wins over the environment's."""

from __future__ import annotations

import os

import pytest

from provisioning.entra.tenant import use_tenant


def test_the_stacks_tenant_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_TENANT_ID", "the environment's")
    use_tenant(None)
    assert os.environ["ARM_TENANT_ID"] == "the environment's"
    use_tenant("the stack's")
    assert os.environ["ARM_TENANT_ID"] == "the stack's"
