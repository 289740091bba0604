"""What `show` says where there is nothing to show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import deployment, holdings, processes
from sandbox.errors import SandboxError
from sandbox.place import default_place


@pytest.mark.parametrize("outputs", [{}, {"clientId": "gone"}])
def test_a_stack_that_was_destroyed_is_told(outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "outputs", lambda _: outputs)
    monkeypatch.setattr(holdings, "entra", lambda _: {"applications": [{"appId": "somebody else's"}]})
    with pytest.raises(SandboxError, match="no application"):
        holdings.summary(default_place())


def test_a_sandbox_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = replace(default_place(), home=tmp_path)
    monkeypatch.setattr(holdings, "load_record", lambda _: SimpleNamespace(entra_port=processes.free_port()))
    with pytest.raises(SandboxError, match="does not run"):
        holdings.entra(place)
