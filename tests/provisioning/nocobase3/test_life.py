"""The whole life of a push into a NocoBase 3, against its stand-in: nothing in use is ever removed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from provisioning import errors, waiting
from provisioning.entra.client_secret_plan import Slot
from provisioning.nocobase import push_resource
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.retry import Patience
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.nocobase3 import before_change, commands, push
from provisioning.nocobase3.config_file import Found
from tests.provisioning.nocobase3.conftest import CONFIG
from tests.provisioning.nocobase3.stack import API_KEY, CLIENT_ID, TENANT, RunFailed, Stack, configured


def in_use(stack: Stack) -> str | None:
    """The client secret that the running NocoBase uses."""
    found = stack.server.provider("outlook")
    return str(found["clientSecret"]) if found else None


def restart_command(stack: Stack) -> None:
    """Give the stack a command that restarts NocoBase."""

    def restart() -> int:
        stack.server.start()
        return 0

    stack.restarts = restart


def test_the_first_push_makes_an_entry_and_says_that_a_restart_is_due(stack: Stack) -> None:
    assert stack.up() == "create"
    assert in_use(stack) is None
    assert stack.push is not None
    assert stack.push["slot"] is None
    assert "has to be restarted" in stack.said[0]
    assert "run `pulumi up` again" in stack.said[0]
    assert stack.up() == "update"
    assert len(stack.said) == 2
    stack.server.start()
    assert stack.up() == "update"
    assert stack.push["slot"] == "a"
    assert stack.up() == "same"
    used = stack.server.provider("outlook")
    assert used is not None
    assert (used["clientId"], used["tenant"]) == (CLIENT_ID, "common")
    text = stack.config.read_text(encoding="utf-8")
    assert text.startswith(CONFIG)
    assert len(stack.passwords) == 1


def test_with_a_command_the_first_push_is_verified_at_once(stack: Stack) -> None:
    restart_command(stack)
    assert stack.up() == "create"
    assert stack.push is not None
    assert stack.push["slot"] == "a"
    assert stack.push["proved_redirect_uri"] == "https://crm.example.com/mail/oauth/callback"
    starts = stack.server.starts
    assert stack.up() == "same"
    assert stack.server.starts == starts


def test_a_rotation_with_a_command(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.pass_days(90)
    assert stack.up() == "update"
    assert in_use(stack) == stack.passwords[Slot.B]["value"]
    assert set(stack.passwords) == {Slot.A, Slot.B}
    assert stack.up() == "same"
    stack.pass_days(7)
    stack.up()
    assert set(stack.passwords) == {Slot.B}


def test_a_rotation_without_a_command_keeps_the_old_secret_until_somebody_restarts(stack: Stack) -> None:
    stack.up()
    stack.server.start()
    stack.up()
    stack.said.clear()
    stack.pass_days(90)
    assert stack.up() == "update"
    assert in_use(stack) == stack.passwords[Slot.A]["value"]
    assert stack.said
    assert stack.push is not None
    assert stack.push["slot"] == "a"
    for _ in range(3):
        stack.pass_days(20)
        stack.up()
        assert set(stack.passwords) == {Slot.A, Slot.B}
        assert in_use(stack) == stack.passwords[Slot.A]["value"]
    stack.server.start()
    stack.up()
    assert stack.push["slot"] == "b"
    assert set(stack.passwords) == {Slot.A, Slot.B}
    stack.pass_days(7)
    stack.up()
    assert set(stack.passwords) == {Slot.B}


def test_a_run_that_would_remove_a_secret_fails_until_nocobase_is_restarted(stack: Stack) -> None:
    stack.up()
    stack.server.start()
    stack.up()
    stack.pass_days(90)
    stack.up()
    # The new secret is due, too; the old one would go now.
    stack.pass_days(89)
    stack.policy = type(stack.policy)("mail", compromised=stack.now)
    with pytest.raises(RunFailed, match="has to be restarted"):
        stack.up()
    assert in_use(stack) == stack.passwords[Slot.A]["value"]


def test_a_restart_that_fails_ends_the_run_and_the_next_one_goes_on(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.pass_days(90)
    stack.restarts = lambda: 3
    with pytest.raises(RunFailed, match=r"restart-nocobase failed \(it ended with 3: .*the words of the command"):
        stack.up()
    assert in_use(stack) == stack.passwords[Slot.A]["value"]
    assert set(stack.passwords) == {Slot.A, Slot.B}
    assert stack.push is not None
    assert (stack.push["slot"], stack.push["client_secret"]) == ("a", stack.passwords[Slot.A]["value"])
    # A refresh finds the new one in the configuration, which NocoBase does not use yet.
    assert stack.refresh()
    assert (stack.push["slot"], stack.push["client_secret"]) == ("a", stack.passwords[Slot.A]["value"])
    restart_command(stack)
    assert stack.up() == "update"
    assert in_use(stack) == stack.passwords[Slot.B]["value"]


def test_a_command_that_restarts_nothing_verifies_nothing(stack: Stack) -> None:
    stack.restarts = lambda: 0
    with pytest.raises(RunFailed, match=r"does not use the configuration .*although it was restarted"):
        stack.up()
    assert stack.push is not None
    assert stack.push["problem"]
    restart_command(stack)
    assert stack.up() == "update"
    stack.pass_days(90)
    stack.restarts = lambda: 0
    with pytest.raises(RunFailed, match="earlier configuration"):
        stack.up()
    assert set(stack.passwords) == {Slot.A, Slot.B}


def test_one_that_starts_slowly_is_waited_for_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "SIGN_OF_LIFE", 0.0)
    monkeypatch.setattr(push, "LOOK_SECONDS", 0.01)
    links = iter([None, SignIn(CLIENT_ID, None, ("a",), "common")])
    server: Any = SimpleNamespace(url="https://crm.example.com", sign_in=lambda _: next(links))
    found = Found(exists=True, client_id=CLIENT_ID, tenant="common", scopes=("a",))
    assert push.link_in_use(server, "outlook", found, 120)[1] is None
    assert "Still waiting for NocoBase at https://crm.example.com to start, 0 of 120 s." in capsys.readouterr().err


def test_what_stands_in_place_of_a_tenant_is_not_repeated() -> None:
    link = SignIn(CLIENT_ID, None, ("a",), "common")
    found = Found(exists=True, client_id=CLIENT_ID, tenant="Xq8~a_pasted.secret", scopes=("a",))
    assert push.why_not_in_use(link, found, "outlook") == (
        "its sign-in link is for common instead of the one of its configuration"
    )


def test_a_failed_first_push_is_recorded_and_destroy_takes_it_back(stack: Stack) -> None:
    stack.restarts = lambda: 1
    with pytest.raises(RunFailed):
        stack.up()
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == CONFIG


def test_destroy_removes_what_it_made(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == CONFIG
    assert stack.server.provider("outlook") is None


OWN = (
    CONFIG
    + f"""\
       outlook: # made by hand
          type: microsoft
          clientId: {CLIENT_ID}
          clientSecret: old   # to be rotated
          displayName: Mail
"""
)


def test_destroy_empties_the_two_values_of_an_entry_that_was_there(stack: Stack) -> None:
    stack.config.write_text(OWN, encoding="utf-8")
    restart_command(stack)
    stack.up()
    text = stack.config.read_text(encoding="utf-8")
    assert "# made by hand" in text
    assert "displayName: Mail" in text
    stack.destroy()
    text = stack.config.read_text(encoding="utf-8")
    assert "clientId: ''\n" in text
    assert "clientSecret: ''   # to be rotated\n" in text
    assert "displayName: Mail" in text
    # What is left is one with which NocoBase starts, and with which a stack can be deployed again.
    stack.server.start()
    assert stack.up() == "create"


def test_drift_of_our_keys_is_put_right_and_of_others_left_alone(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    text = stack.config.read_text(encoding="utf-8")
    for mine, theirs in (("'common'", "organizations"), (stack.passwords[Slot.A]["value"], "other"), (CLIENT_ID, "x")):
        assert mine in text
        stack.config.write_text(text.replace(mine, theirs), encoding="utf-8")
        stack.server.start()
        assert stack.up() == "update"
        assert in_use(stack) == stack.passwords[Slot.A]["value"]
        assert stack.up() == "same"
    text = stack.config.read_text(encoding="utf-8").replace("60000", "90000").replace("# stays", "# changed")
    stack.config.write_text(text, encoding="utf-8")
    assert stack.up() == "same"
    assert stack.config.read_text(encoding="utf-8") == text


def test_a_secret_put_back_by_hand_is_not_taken_for_the_one_in_use(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    own = stack.passwords[Slot.A]["value"]
    text = stack.config.read_text(encoding="utf-8")
    stack.config.write_text(text.replace(own, "someone~elses"), encoding="utf-8")
    stack.server.start()
    stack.restarts = None
    assert stack.up() == "update"
    assert stack.push is not None
    assert stack.push["restart_due"]
    assert in_use(stack) == "someone~elses"


def test_an_entry_that_is_gone_is_written_again(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.config.write_text(CONFIG, encoding="utf-8")
    assert stack.up() == "create"
    stack.config.write_text(CONFIG, encoding="utf-8")
    assert stack.refresh() is False
    assert stack.up() == "create"
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == CONFIG


def test_one_that_is_served_under_another_name_is_not_cleared(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    restart_command(stack)
    stack.up()
    text = stack.config.read_text(encoding="utf-8")
    assert stack.push is not None
    provider = stack.provider()
    provider.check({}, {**stack.push, "logins": [""]})
    provider.delete("id", {**stack.push, "logins": ["next", ""]})
    assert "served under another name" in capsys.readouterr().out
    assert stack.config.read_text(encoding="utf-8") == text


def test_refresh_sees_drift(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    text = stack.config.read_text(encoding="utf-8").replace(stack.passwords[Slot.A]["value"], "other~secret")
    stack.config.write_text(text, encoding="utf-8")
    assert stack.refresh()
    assert stack.push is not None
    assert stack.push["client_secret"] == "other~secret"
    assert stack.up() == "update"
    assert in_use(stack) == stack.passwords[Slot.A]["value"]


def move(stack: Stack, text: str) -> Path:
    """Have the settings name another file, of `text`; NocoBase still reads the earlier one, which is returned."""
    earlier = stack.config
    stack.config = earlier.with_name("moved.yml")
    stack.config.write_text(text, encoding="utf-8")
    return earlier


def test_a_move_that_fails_is_not_recorded_and_overwrites_nothing(stack: Stack) -> None:
    """Of several, a failed push is recorded; what it says is what the next run and `destroy` go by."""
    stack.more = {"several": True}
    restart_command(stack)
    stack.up()
    other = OWN.replace(CLIENT_ID, "11111111-2222-3333-4444-555555555555")
    earlier = move(stack, other)
    for _ in range(2):
        with pytest.raises(RunFailed, match="already holds the credentials of another"):
            stack.up()
        assert stack.push is not None
        assert (stack.push["config_file"], stack.push["slot"]) == (str(earlier), "a")
        assert stack.config.read_text(encoding="utf-8") == other
    stack.destroy()
    assert earlier.read_text(encoding="utf-8") == CONFIG
    assert stack.config.read_text(encoding="utf-8") == other


def test_a_move_whose_write_fails_is_not_recorded(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.more = {"several": True}
    restart_command(stack)
    stack.up()
    earlier = move(stack, CONFIG)
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", Mock(side_effect=full))
        with pytest.raises(RunFailed, match="No space left"):
            stack.up()
    assert stack.push is not None
    assert stack.push["config_file"] == str(earlier)
    assert stack.config.read_text(encoding="utf-8") == CONFIG
    stack.destroy()
    assert earlier.read_text(encoding="utf-8") == CONFIG


@pytest.mark.parametrize("several", [False, True])
def test_a_move_that_fails_after_its_write_is_recorded(
    several: bool, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.more = {"several": several}
    restart_command(stack)
    stack.up()
    earlier = move(stack, CONFIG)
    stack.restarts = lambda: 3
    with pytest.raises(RunFailed, match="restart-nocobase failed"):
        stack.up()
    assert stack.push is not None
    assert (stack.push["config_file"], stack.push["slot"]) == (str(stack.config), "a")
    stack.server.config = stack.config
    restart_command(stack)
    capsys.readouterr()
    assert stack.up() == "update"
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == CONFIG
    assert CLIENT_ID in earlier.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [None, "mail: ["], ids=["missing", "broken"])
def test_a_place_that_nothing_was_ever_written_to_does_not_hold_up_destroy(text: str | None, stack: Stack) -> None:
    stack.more = {"several": True}
    restart_command(stack)
    stack.config.write_text(text, encoding="utf-8") if text else stack.config.unlink()
    for _ in range(2):
        with pytest.raises(RunFailed, match="The configuration"):
            stack.up()
    stack.destroy()
    assert stack.config.exists() is bool(text)
    # Once it was written to, it does.
    stack.config.write_text(CONFIG, encoding="utf-8")
    stack.restarts = lambda: 3
    with pytest.raises(RunFailed, match="restart-nocobase failed"):
        stack.up()
    stack.config.write_text("mail: [", encoding="utf-8")
    with pytest.raises(errors.ConfigurationUnusable, match="state delete"):
        stack.destroy()


def test_a_move_says_where_a_client_secret_stays(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    restart_command(stack)
    stack.up()
    earlier = move(stack, CONFIG)
    stack.server.config = stack.config
    stack.up()
    assert f"mail.providers.outlook in the configuration {earlier} still has a client secret" in capsys.readouterr().out
    assert stack.up() == "same"


BROKEN = {
    "no YAML": "mail: [\n",
    "a key twice": "mail:\n  providers: {}\nmail: {}\n",
    "an alias": "a: &a {type: microsoft}\nmail:\n  providers:\n    outlook: *a\n",
    "a merge key": "a: &a {type: microsoft}\nmail:\n  providers:\n    outlook:\n      <<: *a\n      clientId: ''\n",
    "an anchor on a value": "mail:\n providers:\n  outlook:\n   type: microsoft\n   clientId: &id ''\nx: *id\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "a list": "- mail\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_edited_safely_is_rejected_and_not_touched(text: str, stack: Stack) -> None:
    stack.config.write_text(text, encoding="utf-8")
    with pytest.raises(RunFailed, match="cannot be edited safely, and was not changed"):
        stack.up()
    assert stack.config.read_text(encoding="utf-8") == text
    assert stack.push is None


def test_what_a_refresh_has_read_is_not_asked_for_again_at_once(stack: Stack) -> None:
    """Each link that is asked for leaves an entry in NocoBase for ten minutes."""
    restart_command(stack)
    stack.up()
    assert stack.push is not None
    provider, declared = stack.provider(), stack.declared(stack.plan())
    stack.server.requests.clear()
    held = dict(provider.read("id", stack.push).outs or {})
    assert provider.diff("id", held, stack.push).changes is False
    assert provider.diff("id", held, declared).changes is False
    assert stack.server.requests == ["GET /api/mail/providers", "POST /api/mail/authorizations"]
    # At another place, and after a write, it is read anew.
    assert provider.diff("id", held, {**declared, "mail_provider": "other"}).changes is True
    provider.read("id", stack.push)
    provider.update("id", stack.push, declared)
    stack.config.write_text(CONFIG, encoding="utf-8")
    assert provider.diff("id", held, declared).changes is True


def test_a_configuration_that_breaks_later_is_rejected_and_not_touched(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.pass_days(90)
    stack.config.write_text("mail: [\n", encoding="utf-8")
    with pytest.raises(RunFailed, match="not valid YAML in line"):
        stack.up()
    with pytest.raises(errors.ConfigurationUnusable, match="state delete"):
        stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == "mail: [\n"
    assert set(stack.passwords) == {Slot.A, Slot.B}


def test_a_file_that_vanishes_is_not_made_anew(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.pass_days(90)
    stack.config.unlink()
    with pytest.raises(RunFailed, match=r"cannot be read \(No such file"):
        stack.up()
    assert not stack.config.exists()
    # Only the program knows where it may have moved to.
    assert stack.refresh() is True
    with pytest.raises(errors.ConfigurationUnusable):
        stack.destroy()


@pytest.mark.parametrize("trouble", ["moved", "unreachable", "no key"])
@pytest.mark.parametrize("several", [False, True])
def test_what_a_refresh_cannot_read_stays_in_the_state_and_stops_nothing(
    trouble: str, several: bool, stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run begins with a refresh, and only the program knows the new place or key."""
    stack.more = {"several": several}
    restart_command(stack)
    stack.up()
    before = stack.push
    assert before is not None
    if trouble == "moved":
        stack.config = stack.server.config = stack.config.rename(stack.config.with_name("moved.yml"))
    elif trouble == "unreachable":
        stack.server.stop()
    else:
        monkeypatch.delenv("NOCOBASE_API_KEY")
    provider = stack.provider()
    found = provider.read("id", before)
    assert (found.id, found.outs) == ("id", before)
    assert "assumes that it still holds what the last run wrote" in capsys.readouterr().out
    # The engine compares after it has read: never as if all were in sync.
    assert provider.diff("id", before, dict(found.inputs or {})).changes is True
    monkeypatch.setenv("NOCOBASE_API_KEY", API_KEY)
    stack.server.start()
    declared = stack.declared(stack.plan())
    assert provider.diff("id", before, declared).changes is (trouble == "moved")
    assert stack.up() == ("update" if trouble == "moved" else "same")


def test_a_refresh_waits_for_no_nocobase_and_the_programs_comparison_does(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart_command(stack)
    stack.up()
    before = stack.push
    assert before is not None
    waits: list[float] = []

    def start(seconds: float) -> None:
        waits.append(seconds)
        stack.server.start()

    monkeypatch.setattr(push_resource, "Patience", lambda seconds: Patience(seconds, lambda _: None, sleep=start))
    provider = configured(stack.provider(), seconds=600)
    stack.server.stop()
    found = provider.read("id", before)
    assert provider.diff("id", before, dict(found.inputs or {})).changes is True
    assert (found.outs, waits) == (before, [])
    assert provider.diff("id", before, stack.declared(stack.plan())).changes is False
    assert len(waits) == 1


def test_another_applications_credentials_are_not_overwritten(stack: Stack) -> None:
    other = "11111111-2222-3333-4444-555555555555"
    stack.config.write_text(OWN.replace(CLIENT_ID, other), encoding="utf-8")
    with pytest.raises(RunFailed, match=f"already holds the credentials of another .*nocobaseTakeOver {other}"):
        stack.up()
    assert stack.config.read_text(encoding="utf-8") == OWN.replace(CLIENT_ID, other)
    stack.more = {"take_over": other}
    restart_command(stack)
    assert stack.up() == "create"


def test_the_name_that_connected_accounts_belong_to_is_kept(stack: Stack) -> None:
    stack.config.write_text(OWN.replace("outlook:", "office:"), encoding="utf-8")
    with pytest.raises(RunFailed, match="pulumi config set nocobaseMailProvider office"):
        stack.up()
    stack.config.write_text(OWN.replace("type: microsoft", "type: gmail"), encoding="utf-8")
    with pytest.raises(RunFailed, match="is of another type"):
        stack.up()


@pytest.mark.parametrize("written", ["false", "False"])
def test_one_that_is_switched_off_is_neither_written_nor_restarted(written: str, stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    stack.pass_days(90)
    text = stack.config.read_text(encoding="utf-8").replace(
        "type: microsoft", f"type: microsoft\n         enabled: {written}"
    )
    stack.config.write_text(text, encoding="utf-8")
    stack.server.start()
    starts = stack.server.starts
    with pytest.raises(RunFailed, match=r"is switched off .*enabled is false"):
        stack.up()
    assert (stack.server.starts, stack.config.read_text(encoding="utf-8")) == (starts, text)
    with pytest.raises(errors.NotVerified, match="switched off"):
        before_change.check(stack.installation(), NocoBaseLogin(api_key=API_KEY), [CLIENT_ID])
    stack.config.write_text(text.replace(written, "true"), encoding="utf-8")
    stack.up()
    assert in_use(stack) == stack.passwords[Slot.B]["value"]


def test_credentials_of_somebody_else_survive_destroy(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    text = stack.config.read_text(encoding="utf-8").replace(CLIENT_ID, "11111111-2222-3333-4444-555555555555")
    stack.config.write_text(text, encoding="utf-8")
    stack.destroy()
    assert stack.config.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("audience", "tenant"),
    [
        ("AzureADMyOrg", TENANT),
        ("AzureADMultipleOrgs", "organizations"),
        ("AzureADandPersonalMicrosoftAccount", "common"),
    ],
)
def test_the_audience_decides_on_the_tenant(audience: str, tenant: str, stack: Stack) -> None:
    restart_command(stack)
    stack.audience = audience
    stack.up()
    used = stack.server.provider("outlook")
    assert used is not None
    assert used["tenant"] == tenant
    assert stack.up() == "same"
    stack.audience = "AzureADMultipleOrgs"
    stack.up()
    used = stack.server.provider("outlook")
    assert used is not None
    assert used["tenant"] == "organizations"
    assert (stack.registered, stack.said) == ("AzureADMultipleOrgs", [])


@pytest.mark.parametrize("before", ["AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount"])
@pytest.mark.parametrize("by_command", [True, False])
def test_an_audience_narrows_once_nocobase_uses_another_page(by_command: bool, before: str, stack: Stack) -> None:
    """`Stack.watch` asserts after each step that somebody of the application's audience can sign in."""
    restart_command(stack)
    stack.audience = before
    stack.up()
    stack.audience = "AzureADMyOrg"
    if not by_command:
        stack.restarts = None
    stack.up()
    assert stack.registered == before
    assert f"The audience stays {before} until NocoBase at https://crm.example.com was seen" in stack.said[0]
    if not by_command:
        stack.up()
        assert stack.registered == before
        stack.server.start()
    stack.said.clear()
    stack.up()
    assert (stack.registered, stack.said) == ("AzureADMyOrg", [])
    assert stack.up() == "same"
    assert stack.push is not None
    assert not stack.push["restart_due"]


def test_an_audience_does_not_narrow_while_a_restart_fails_or_nocobase_does_not_answer(stack: Stack) -> None:
    restart_command(stack)
    stack.up()
    before, stack.audience = stack.registered, "AzureADMyOrg"
    stack.restarts = lambda: 3
    for _ in range(2):
        with pytest.raises(RunFailed, match="restart-nocobase failed"):
            stack.up()
        assert stack.registered == before
    stack.server.stop()
    with pytest.raises(RunFailed):
        stack.up()
    assert stack.registered == before
    stack.server.start()
    stack.restarts = None
    stack.up()
    assert stack.registered == "AzureADMyOrg"


def test_an_address_that_users_do_not_see_is_reported(stack: Stack) -> None:
    restart_command(stack)
    stack.config.write_text(CONFIG.replace("crm.example.com", "other.example.com"), encoding="utf-8")
    stack.server.start()
    with pytest.raises(RunFailed, match="sends users back to"):
        stack.up()


@pytest.mark.parametrize("several", [False, True])
def test_what_the_command_prints_of_the_configuration_is_not_recorded(
    several: bool, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = "the~secret~that~was~there~before"
    stack.config.write_text(OWN.replace("clientSecret: old ", f"clientSecret: {theirs} "), encoding="utf-8")
    stack.restarts = lambda: 3
    stack.more = {"several": several}
    monkeypatch.setattr(commands, "run", lambda *_: commands.Ran(3, b"", f"clientSecret: {theirs}".encode()))
    with pytest.raises(RunFailed, match="it ended with 3") as caught:
        stack.up()
    assert stack.push is not None
    assert theirs not in f"{caught.value} {stack.push}"


def test_no_secret_is_in_what_is_said_or_recorded_in_plain_text(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    restart_command(stack)
    stack.up()
    stack.pass_days(90)
    stack.restarts = lambda: 3
    with pytest.raises(RunFailed) as caught:
        stack.up()
    said = str(caught.value) + "".join(capsys.readouterr()) + "".join(stack.said)
    assert stack.push is not None
    recorded = str({name: value for name, value in stack.push.items() if name != "client_secret"})
    for one in stack.passwords.values():
        assert one["value"] not in said + recorded
