"""A stack with a stand-in for NocoBase 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from provisioning.nocobase3 import commands
from sandbox.nocobase3.stand_in import StandIn
from tests.provisioning.nocobase3.stack import API_KEY, Stack, connect, over_http

CONFIG = """\
# NocoBase of the sales department
app:
  publicOrigin: https://crm.example.com   # as users see it

mail:
    automaticSyncIntervalMs: 60000
    providers:
       google:   {type: gmail, clientId: 'g', clientSecret: "s"}  # stays
"""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Nothing is deployed yet; NocoBase runs."""
    config = tmp_path / "config.yml"
    config.write_text(CONFIG, encoding="utf-8")
    server = StandIn(config, {API_KEY: True})
    server.start()
    made = Stack(config, server)
    connect(monkeypatch, {"crm.example.com": over_http(server)})
    run = commands.run

    def restarted(command: Sequence[str], *given: Any, **options: Any) -> commands.Ran:
        if command[0] != "restart-nocobase":
            return run(command, *given, **options)
        assert made.restarts is not None
        return commands.Ran(made.restarts(), b"", b"the words of the command")

    monkeypatch.setattr(commands, "run", restarted)
    return made
