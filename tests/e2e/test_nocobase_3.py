"""A NocoBase 3 on the real engine: its stand-in, a configuration file, a restart by hand and one by a command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette

from sandbox.nocobase.bad_day import BadDay
from sandbox.nocobase3.server import application
from sandbox.nocobase3.stand_in import StandIn
from tests.e2e.conftest import APRIL, NEW_YEAR, Stack

pytestmark = pytest.mark.e2e

KEY = {"NOCOBASE_API_KEY": "the-key-of-a-nocobase-3"}
BEFORE = "app: {name: main}  # stays\nmail:\n    providers:\n       g: {type: gmail}\n"
RESTART = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='POST'))"


class Served(BadDay):
    """A stand-in for NocoBase 3 over HTTP."""

    def __init__(self, server: StandIn) -> None:
        super().__init__("http://localhost")
        self._server = server

    def _application(self) -> Starlette:
        return application(self._server)


def test_a_restart_by_hand_then_a_rotation_with_a_command(stack: Stack, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(BEFORE)
    server = StandIn(config, {KEY["NOCOBASE_API_KEY"]: True})
    server.start()
    with Served(server) as served:
        stack.set("nocobaseUrl", served.url)
        stack.set("nocobaseConfigFile", str(config))
        stack.set("audience", "AzureADMyOrg")
        said = stack.up(extra={**KEY, **NEW_YEAR})
        assert "has to be restarted (it does not offer the mail provider outlook)" in said
        assert server.provider("outlook") is None
        server.start()
        command = [sys.executable, "-c", RESTART, f"{served.url}/_sandbox/restart"]
        stack.set("nocobaseRestart", command)
        stack.up(extra={**KEY, **APRIL})
        used = server.provider("outlook")
        assert used is not None
        assert (used["clientId"], used["clientSecret"]) == (stack.outputs["clientId"], stack.outputs["clientSecret"])
        assert used["tenant"] == stack.outputs["tenantId"]
        (entra,) = stack.applications
        assert entra["web"]["redirectUris"] == [f"{served.url}/mail/oauth/callback"]
        stack.pulumi("preview", "--expect-no-changes", extra={**KEY, **APRIL})
        secret = stack.outputs["clientSecret"]
        assert secret not in stack.state_file.read_text()
        stack.pulumi("destroy", "--yes", "--skip-preview", extra=KEY)
    assert config.read_text() == BEFORE
    assert secret not in "".join(stack.said)
