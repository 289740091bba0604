"""What the commands of the sandbox say at their end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox import cli, deployment
from sandbox.place import default_place
from sandbox.steps import Step


def test_destroy_says_that_it_leaves_the_sandbox_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = replace(default_place(), home=tmp_path / "sandbox" / "dev")
    monkeypatch.setattr(cli, "default_place", lambda: place)
    monkeypatch.setattr(
        cli, "start_steps", lambda _: [Step(name, name, lambda _: "") for name in ("entra", "nocobase")]
    )
    monkeypatch.setattr(deployment, "exists", lambda _: True)
    monkeypatch.setattr(deployment, "destroy", lambda *_: "1 deleted")
    ended = CliRunner().invoke(cli.app, ["destroy"])
    assert ended.exit_code == 0
    assert "pulumi destroy: 1 deleted" in ended.stderr
    assert ended.stderr.endswith("The sandbox runs; `make down` stops it.\n")
