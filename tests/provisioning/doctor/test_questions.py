"""What `doctor` asks: the same whether a stack is deployed or not, and of each NocoBase that was given credentials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from provisioning.doctor import account, engine, network, nocobase, questions
from provisioning.doctor.runner import Check, Finding, Question, ask_all, ok
from provisioning.entra import token_check
from provisioning.entra.account import Account
from provisioning.entra.app_policies import SecretPolicy
from provisioning.entra.registration import Owner, Principal, Registration
from provisioning.entra.sign_in_settings import sign_in_settings
from provisioning.entra.token_check import Answer, Verdict
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.program.last_state import Push
from provisioning.resource_types import AZUREAD_PROVIDER_TYPE
from provisioning.status import read
from provisioning.status.read import HeldRow
from tests.provisioning.checkpoints import (
    CLIENT_ID,
    OBJECT_ID,
    ONE_SECRET,
    REDIRECT_URI,
    TENANT_ID,
    TWO_SECRETS,
    URL,
    application,
    export,
    push,
    resource,
    secret,
)
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi
from tests.provisioning.status.test_compare import NOW, held, registration

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

CONFIG = {
    "nocobase-outlook:nocobaseUrl": {"value": URL},
    "nocobase-outlook:audience": {"value": "AzureADMyOrg"},
    "nocobase-outlook:scopes": {"value": '["SMTP.Send"]'},
    "nocobase-outlook:nocobaseApiKey": {"value": "key", "secret": True},
}

CHAIN = (
    "application",
    "permissions",
    "redirect URIs",
    "service principal",
    "owner",
    "client secret",
    "email settings",
    "sign-in link",
    "sign-in link: client ID",
    "sign-in link: redirect URI",
    "sign-in link: scopes",
    "sign-in link: tenant",
    "consent",
)


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """One stack after its first deployment; everything around it answers that all is well."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    found = fake_pulumi(tmp_path, {"prod": export(*ONE_SECRET)}, CONFIG)
    monkeypatch.setenv("PATH", found.environment["PATH"])
    monkeypatch.delenv("ARM_TENANT_ID", raising=False)
    me = Account("me", "me", TENANT_ID, application=False, granted=frozenset())
    for module, name in ((engine, "ask_engine"), (engine, "ask_plugin")):
        monkeypatch.setattr(module, name, lambda *_: ok(""))
    monkeypatch.setattr(engine, "ask_secrets", lambda *_: ok(""))
    monkeypatch.setattr(engine, "ask_backend", lambda *_: ok(""))
    monkeypatch.setattr(account, "ask_account", lambda: ok("", me))
    monkeypatch.setattr(account, "ask_rights", lambda *_: ok(""))
    for name in ("ask_server", "ask_plugins", "ask_role", "ask_before_push"):
        monkeypatch.setattr(nocobase, name, lambda *_: ok(""))
    monkeypatch.setattr(nocobase, "ask_login", lambda *_: ok("", NocoBaseLogin("key")))
    monkeypatch.setattr(network, "reach", lambda name, *_: network.Reach(name, True, "", ""))
    monkeypatch.setattr(token_check, "ask", lambda *_: Answer(Verdict.TOKEN))
    monkeypatch.setattr(directory, "registration", lambda _: registration())
    monkeypatch.setattr(directory, "principal", lambda _: Principal("principal", enabled=True))
    monkeypatch.setattr(directory, "application_owners", lambda _: (Owner("me"),))
    monkeypatch.setattr(directory, "grants", lambda _: [])
    monkeypatch.setattr(directory, "secret_policy", lambda _: SecretPolicy(()))
    monkeypatch.setattr(directory, "consent_policies", tuple)
    monkeypatch.setattr(read, "read_row", lambda *_: held().row)
    monkeypatch.setattr(
        read, "read_link", lambda *_: SignIn(CLIENT_ID, REDIRECT_URI, ("offline_access", "SMTP.Send"), TENANT_ID)
    )
    return found


def asked() -> dict[str, Check]:
    return {check.name: check for check in ask_all(listed())}


def listed() -> Sequence[Question]:
    return questions.questions("prod", {}, NOW)


@pytest.mark.usefixtures("pulumi")
def test_the_chain_of_a_sign_in_once_it_is_deployed() -> None:
    found = asked()
    assert {name: found[name].outcome.value for name in CHAIN} == {**dict.fromkeys(CHAIN, "OK"), "consent": "warning"}
    assert {check.outcome.value for check in found.values()} == {"OK", "warning"}
    assert sign_in_settings().tenant == TENANT_ID


def test_the_sign_in_of_the_last_run_is_compared_with_the_configuration(pulumi: FakePulumi) -> None:
    provider = resource(AZUREAD_PROVIDER_TYPE, "default_6_10_0", {"clientId": "a", "clientSecret": secret("old")})
    (pulumi.folder / "prod.export").write_text(export(*ONE_SECRET, provider))
    config = {**CONFIG, "azuread:clientId": {"value": "b"}}
    (pulumi.folder / "prod.config").write_text(json.dumps(config))
    assert "(azuread:clientId, azuread:clientSecret)" in asked()["sign-in"].said


def test_personal_mailboxes_are_asked_for_where_the_audience_has_them(pulumi: FakePulumi) -> None:
    name = "network: smtp-outlook"
    assert asked()[name].said == "not needed: no personal accounts in the audience AzureADMyOrg"
    config = {key: value for key, value in CONFIG.items() if not key.endswith("audience")}
    (pulumi.folder / "prod.config").write_text(json.dumps(config))
    assert "not needed" not in asked()[name].said


def test_nothing_is_asked_twice(pulumi: FakePulumi) -> None:
    names = [question.name for question in listed()]
    assert sorted(set(names)) == sorted(names)
    assert [call[:2] for call in pulumi.asked] == [["stack", "export"], ["config", "--json"]]


def test_it_is_skipped_with_a_reason_before(pulumi: FakePulumi) -> None:
    before = [question.name for question in listed()]
    (pulumi.folder / "prod.export").write_text(export(application()))
    assert [question.name for question in listed()] == before
    found = asked()
    skipped = [name for name in (*CHAIN, "deployment") if name not in ("owner", "email settings")]
    assert {(found[name].outcome, found[name].said) for name in skipped} == {
        ("skipped", "because the deployment of this stack was not completed")
    }
    assert found["email settings"].outcome == "OK"
    assert found["deployment"].remedy == "pulumi up"
    assert {check.outcome for check in found.values()} == {"OK", "skipped", "warning"}
    assert [name for name, check in found.items() if check.outcome == "warning"] == ["policy on consent"]


def test_after_an_interrupted_first_run_the_tenant_is_the_configured_one(pulumi: FakePulumi) -> None:
    (pulumi.folder / "prod.export").write_text(export(application()))
    (pulumi.folder / "prod.config").write_text(json.dumps({**CONFIG, "azuread:tenantId": {"value": "somewhere"}}))
    listed()
    assert sign_in_settings().tenant == "somewhere"


@pytest.mark.usefixtures("pulumi")
def test_each_nocobase_has_checks_of_its_own(pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    pushes = (*TWO_SECRETS, push("b", "2027-04-03", "nocobase-sales", logins=["sales", ""]))
    (pulumi.folder / "prod.export").write_text(export(*pushes))

    def row(of: Push, _: NocoBaseLogin) -> HeldRow:
        return held(client_id="theirs" if of.name == "nocobase-sales" else CLIENT_ID).row

    monkeypatch.setattr(read, "read_row", row)
    found = asked()
    assert found["email settings (nocobase)"].outcome == "OK"
    assert "client ID (not a client ID) instead of" in found["email settings (nocobase-sales)"].said
    assert found["sign-in link (nocobase-sales): tenant"].outcome == "OK"

    # One that is down hides no other.
    def down(*_: object) -> Finding:
        raise RuntimeError

    monkeypatch.setattr(nocobase, "ask_login", down)
    found = asked()
    assert found["email settings (nocobase)"].said == "because 'login to NocoBase' failed"
    assert "client ID (not a client ID) instead of" in found["email settings (nocobase-sales)"].said


def test_without_a_sign_in_link_none_is_asked_for(pulumi: FakePulumi) -> None:
    without = push("a", "2027-01-01", mapping={"verify_action": "none", "row_filter": "{}"})
    (pulumi.folder / "prod.export").write_text(export(*ONE_SECRET[:-1], without))
    names = {question.name for question in listed()}
    assert "email settings" in names
    assert not [name for name in names if name.startswith("sign-in link")]


@pytest.mark.usefixtures("pulumi")
def test_an_application_that_is_gone_hides_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    seen: list[str] = []

    def gone(object_id: str) -> Registration | None:
        seen.append(object_id)
        return None

    monkeypatch.setattr(directory, "registration", gone)
    found = asked()
    assert found["application"].outcome == "failed"
    skipped = ("permissions", "redirect URIs", "owner", "sign-in link: redirect URI")
    assert {found[name].said for name in skipped} == {"because 'application' failed"}
    assert found["sign-in link: client ID"].outcome == "OK"
    assert seen == [OBJECT_ID]


def test_a_state_that_nobody_has_foreseen_hides_nothing_else(pulumi: FakePulumi) -> None:
    (pulumi.folder / "prod.export").write_text('{"deployment": {"resources": [{"no": "urn"}]}}')
    found = asked()
    assert (found["deployment"].outcome, found["settings"].outcome) == ("failed", "OK")
    assert "this check itself broke (KeyError)" in found["deployment"].said
    assert {found[name].said for name in ("application", "email settings")} == {"because 'deployment' failed"}
