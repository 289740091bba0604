"""The checks of NocoBase's answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.doctor import nocobase
from provisioning.doctor.runner import answer
from provisioning.errors import CredentialsInFile
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.program.settings import Settings
from provisioning.status.differences import RESTART
from tests.provisioning.doctor.test_account import token
from tests.provisioning.nocobase.fake_nocobase import FakeNocoBase, connect, microsoft
from tests.provisioning.status.test_compare import ONE, held

NOW = datetime(2026, 11, 21, tzinfo=UTC)
URL = "https://n.example.com"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [("2.2.15", "OK"), ("2.3.0-beta.1", "OK"), ("1.9.0", "warning"), (None, "failed"), ("<html>", "failed")],
)
def test_versions(said: object, outcome: str) -> None:
    assert nocobase.check_version(URL, None, said).outcome == outcome


def test_a_nocobase_that_takes_its_credentials_from_a_file() -> None:
    with pytest.raises(CredentialsInFile):
        nocobase.check_version(URL, None, "3.0.1")


def test_plugins() -> None:
    assert nocobase.check_plugins(["@nocobase/plugin-acl", nocobase.PLUGIN]).outcome == "OK"
    missing = nocobase.check_plugins(["@nocobase/plugin-acl"])
    assert (missing.outcome, "plugin manager" in str(missing.remedy)) == ("failed", True)


@pytest.mark.parametrize(
    ("claims", "outcome", "word"),
    [
        ({"exp": (NOW + timedelta(days=400)).timestamp()}, "OK", "valid until 2027-12-26"),
        ({"exp": (NOW + timedelta(days=29)).timestamp()}, "warning", "in 29 days"),
        ({"exp": (NOW - timedelta(days=1)).timestamp()}, "failed", "ended on 2026-11-20"),
        ({"exp": 33352859518}, "OK", "never ends"),
        ({"exp": 10**30}, "OK", "never ends"),
        ({}, "OK", "does not say"),
    ],
)
def test_how_long_a_key_is_valid(claims: dict[str, Any], outcome: str, word: str) -> None:
    key = token(claims)
    found = nocobase.check_login_life(NocoBaseLogin(api_key=key), NOW)
    assert (found.outcome, word in found.said) == (outcome, True)
    assert key not in found.said + str(found.remedy)


def test_passwords_have_no_end() -> None:
    assert nocobase.check_login_life(NocoBaseLogin(account="a", password="b"), NOW).outcome == "OK"


@pytest.mark.parametrize(
    ("role", "outcome"),
    [
        ({"role": "root", "allowAll": True}, "OK"),
        ({"role": "admin", "snippets": ["pm", "pm.*", "ui.*"]}, "OK"),
        ({"role": "mail", "actions": {"mailSettings:update": {}}}, "OK"),
        ({"role": "editor", "strategy": {"actions": ["create", "view", "update"]}}, "OK"),
        ({"role": "member", "snippets": ["!pm", "!pm.*"], "strategy": {"actions": ["view:own"]}}, "warning"),
        ({}, "warning"),
    ],
)
def test_roles(role: dict[str, Any], outcome: str) -> None:
    assert nocobase.check_role(role).outcome == outcome


def test_what_the_email_settings_hold() -> None:
    (push,) = ONE.pushes
    assert "which it hides" in nocobase.check_row(ONE, push, held().row).said
    assert "hides" not in nocobase.check_row(ONE, push, held(client_secret="value-a").row).said
    assert nocobase.check_row(ONE, push, held(client_id="").row).outcome == "failed"


def test_one_that_has_to_be_restarted_is_told_to_be_and_its_link_is_skipped() -> None:
    (push,) = ONE.pushes
    waiting = replace(push, restart_due="It has to be restarted.")
    found = nocobase.check_row(ONE, waiting, held(client_id="").row)
    assert (found.outcome, found.remedy) == ("failed", RESTART)
    assert nocobase.ask_link(waiting, NocoBaseLogin("key")).outcome == "skipped"


def test_what_cannot_be_asked_is_skipped() -> None:
    (push,) = ONE.pushes
    assert "'login to NocoBase'" in nocobase.ask_row(ONE, push, None).said
    assert "'login to NocoBase'" in nocobase.ask_link(push, None).said
    hidden = replace(push, client_secret=None)
    assert "'secrets provider'" in nocobase.ask_row(ONE, hidden, NocoBaseLogin("key")).said


OWN, OTHER = "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"


@pytest.mark.parametrize(
    ("holds", "take_over", "own", "said"),
    [
        (None, None, None, f"{URL} holds no credentials yet"),
        (OWN, None, OWN, f"{URL} holds this stack's client ID"),
        (OTHER, OTHER, OWN, f"{URL} holds the client ID that nocobaseTakeOver names"),
        (OTHER, None, OWN, None),
        (OTHER, None, None, None),
    ],
)
def test_what_the_first_push_would_not_overwrite_is_found_before(
    holds: str | None, take_over: str | None, own: str | None, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(FakeNocoBase([microsoft(clientId=holds, clientSecret=holds and "a-secret-of-theirs")]), monkeypatch)
    declared = Settings(nocobaseUrl=URL, nocobaseTakeOver=take_over)
    found = answer(nocobase.ask_before_push, NocoBaseLogin("key"), declared, own)
    if said is not None:
        assert (found.outcome, found.said) == ("OK", said)
        return
    assert (found.outcome, OTHER in found.said) == ("failed", True)
    assert f"pulumi config set nocobaseTakeOver {OTHER}" in str(found.remedy)
