"""A NocoBase 2 and a NocoBase 3 that one application serves, through rotations and through an upgrade in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config

from provisioning.entra.client_secret_plan import Slot
from provisioning.nocobase.push_resource import MailSettingsProvider
from tests.provisioning.nocobase.fake_nocobase import CALLBACK, FakeNocoBase, microsoft
from tests.provisioning.nocobase.fake_nocobase import URL as URL_2
from tests.provisioning.nocobase3.conftest import CONFIG
from tests.provisioning.nocobase3.stack import CLIENT_ID, RunFailed, Stack, connect, over_http

NEXT = "nocobase-two"


class Both:
    """The stack with a NocoBase 2 as a further installation."""

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.old = FakeNocoBase([microsoft()])
        self.up_2 = True

        def two(request: Any) -> Any:
            if not self.up_2:
                raise ConnectionRefusedError
            return self.old(request)

        connect(monkeypatch, {"crm.example.com": over_http(stack.server), URL_2.split("/")[2]: two})

    def up(self) -> None:
        """One `pulumi up` of both."""
        stack = self.stack
        plan = stack._issue()
        declared = stack.declared(plan)
        of_3 = {"config_file", "mail_provider", "restart", "scopes", "written_client_id", "made", "restart_due"}
        by_rest = {key: value for key, value in declared.items() if key not in of_3}
        by_rest |= {"nocobase_url": URL_2, "redirect_uris": [CALLBACK], "several": True, "logins": ["two", ""]}
        provider = MailSettingsProvider()
        patience = {"nocobase-outlook:nocobasePatienceSeconds": "0"}
        provider.configure(ConfigureRequest(Config(patience, "nocobase-outlook")))
        olds = stack.others.get(NEXT)
        done = provider.update("id", olds, by_rest) if olds else provider.create(by_rest)
        stack.others[NEXT] = dict(done.outs or {})
        stack._step(stack.provider(), {**declared, "several": True})
        stack.watch()
        self.watch()
        stack._end(plan)
        self.watch()

    def watch(self) -> None:
        """Assert that the NocoBase 2 holds a secret that Entra ID has."""
        held = self.old.row()["clientSecret"]
        assert held is None or held in {one["value"] for one in self.stack.passwords.values()}


@pytest.fixture
def both(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Both:
    """Nothing is deployed yet."""
    return Both(stack, monkeypatch)


def restarting(stack: Stack) -> Callable[[], int]:
    """A command that restarts the NocoBase 3."""

    def restart() -> int:
        stack.server.start()
        return 0

    return restart


def test_both_get_the_new_secret_before_the_old_one_goes(both: Both) -> None:
    stack = both.stack
    stack.restarts = restarting(stack)
    both.up()
    stack.pass_days(90)
    both.up()
    new = stack.passwords[Slot.B]["value"]
    used = stack.server.provider("outlook")
    assert used is not None
    assert (used["clientSecret"], both.old.row()["clientSecret"]) == (new, new)
    assert set(stack.passwords) == {Slot.A, Slot.B}
    stack.pass_days(7)
    both.up()
    assert set(stack.passwords) == {Slot.B}


def test_the_old_secret_stays_until_the_3_is_restarted(both: Both) -> None:
    stack = both.stack
    both.up()
    stack.server.start()
    both.up()
    stack.pass_days(90)
    for _ in range(4):
        both.up()
        assert set(stack.passwords) == {Slot.A, Slot.B}
        assert both.old.row()["clientSecret"] == stack.passwords[Slot.B]["value"]
        used = stack.server.provider("outlook")
        assert used is not None
        assert used["clientSecret"] == stack.passwords[Slot.A]["value"]
        stack.pass_days(10)
    stack.server.start()
    both.up()
    assert set(stack.passwords) == {Slot.A, Slot.B}
    stack.pass_days(7)
    both.up()
    assert set(stack.passwords) == {Slot.B}


def test_a_restart_that_fails_holds_up_neither_the_2_nor_its_old_secret(both: Both) -> None:
    stack = both.stack
    stack.restarts = restarting(stack)
    both.up()
    stack.pass_days(90)
    stack.restarts = lambda: 3
    with pytest.raises(RunFailed, match="restart-nocobase failed"):
        both.up()
    assert stack.push is not None
    assert stack.push["slot"] == "a"
    assert both.old.row()["clientSecret"] == stack.passwords[Slot.B]["value"]
    assert set(stack.passwords) == {Slot.A, Slot.B}
    stack.restarts = restarting(stack)
    both.up()
    assert stack.push["slot"] == "b"


def become_a_2(stack: Stack) -> None:
    """Have the state hold what it has of a NocoBase 2 at the same address, and the configuration nothing of ours."""
    assert stack.push is not None
    of_3 = ("config_file", "mail_provider", "restart", "scopes", "written_client_id", "made", "restart_due")
    stack.push = {key: value for key, value in stack.push.items() if key not in of_3}
    stack.config.write_text(CONFIG, encoding="utf-8")
    stack.server.start()


def test_an_upgrade_in_place_keeps_the_secret_until_the_3_is_verified(stack: Stack) -> None:
    stack.restarts = restarting(stack)
    stack.up()
    become_a_2(stack)
    assert stack.push is not None
    stack.restarts = None
    assert stack.up() == "update"
    assert stack.push["restart_due"]
    assert stack.push["slot"] == "a"
    stack.server.start()
    assert stack.up() == "update"
    assert not stack.push["restart_due"]
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == CONFIG


def test_an_upgrade_in_place_that_writes_nothing_stays_recorded_as_a_2(stack: Stack, monkeypatch: Any) -> None:
    """So `destroy` empties what the NocoBase 2 holds."""
    stack.restarts = restarting(stack)
    stack.up()
    become_a_2(stack)
    stack.more = {"several": True}
    stack.config.write_text("mail: [", encoding="utf-8")
    with pytest.raises(RunFailed, match="not valid YAML"):
        stack.up()
    assert stack.push is not None
    assert "config_file" not in stack.push
    old = FakeNocoBase([{**microsoft(), "clientId": CLIENT_ID, "clientSecret": stack.passwords[Slot.A]["value"]}])
    connect(monkeypatch, {"crm.example.com": old})
    stack.destroy()
    assert not old.row()["clientSecret"]


def test_an_upgrade_in_place_whose_restart_fails_is_cleared_by_destroy(stack: Stack) -> None:
    stack.restarts = restarting(stack)
    stack.up()
    become_a_2(stack)
    assert stack.push is not None
    stack.restarts = lambda: 3
    with pytest.raises(RunFailed, match="restart-nocobase failed"):
        stack.up()
    assert stack.push["slot"] == "a"
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == CONFIG
