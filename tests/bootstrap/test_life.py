"""The deployer's whole life on the stand-ins, without the engine: the next run resumes whatever change goes wrong.

The model of the engine is `tests/contract/model_engine.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from deployer import settings
from deployer.application import declare
from deployer.prepare import prepare
from provisioning.ending import Ended
from sandbox.azuread import resource as resource_type
from sandbox.entra import identity
from tests.contract import in_process
from tests.contract.model_engine import ModelEngine, StepFailed
from tests.figures import Say
from tests.sandbox.entra.service import Service

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

Json = dict[str, Any]
ISSUER = "https://oidc.example.com"
BRANCHES = {
    "name": "branches",
    "issuer": "https://token.actions.githubusercontent.com",
    "expression": "claims['sub'] matches 'repo:contoso/mail:*' and claims['repository_id'] eq '456'",
    "preview": True,
}
"""What the identity for previews trusts: a flexible federated credential."""
ANY_BRANCH = (BRANCHES["name"], "")
LOST, UNAVAILABLE, DENIED = "the answer is lost", "503 after the change", "denied"
FAULTS: dict[str, Json] = {
    LOST: {"drop": True, "after": True},
    UNAVAILABLE: {"status": 503, "after": True, "headers": {"Retry-After": "0"}},
    DENIED: {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "no"}}},
}


OWNER = min(identity.PEOPLE)
"""Whom the setting `owners` names."""


class Life:
    """A stack of `bootstrap/` and its tenant. configured: its settings, as the engine passes them."""

    def __init__(self, tenant: Service) -> None:
        self.tenant = tenant
        made = tenant.directory.create_application({"displayName": "mail"}, identity.DEPLOYER_OBJECT_ID, [])
        self.mail = str(made["id"])
        self.configured = {"mailApplications": json.dumps([self.mail]), "tenantConsent": "true"}
        self.trust("test", "prod")
        self.engine = ModelEngine(in_process.provider(dict(os.environ)), "nocobase-outlook-bootstrap", "deployer")
        self.before = self.held()

    def trust(self, *names: str, **subjects: str) -> None:
        """Set the trusts: their names, and where it is not the name, the subject."""
        trusts = [{"name": name, "issuer": ISSUER, "subject": subjects.get(name, name)} for name in names]
        self.configured["otherTrusts"] = json.dumps([*trusts, BRANCHES])

    def up(self) -> list[tuple[str, str]]:
        """One run; what it changed."""
        self.tenant.take_requests()

        def program() -> None:
            declare(prepare())

        self.engine.up(program)
        return self.engine.steps

    @property
    def changes(self) -> list[str]:
        """The changing requests since the last run began."""
        return [
            f"{entry['method']} {entry['path']}"
            for entry in self.tenant.take_requests()
            if entry["method"] != "GET" and "/token" not in entry["path"]
        ]

    def held(self) -> Json:
        """What the tenant holds, but for ids and what was deleted."""
        found = self.tenant.directory.snapshot()
        return {
            "applications": sorted(item["displayName"] for item in found["applications"]),
            "principals": sorted(item["displayName"] for item in found["servicePrincipals"]),
            "trusts": sorted(
                (trust["name"], trust["subject"] or "")
                for application in found["applications"]
                for trust in found["federatedIdentityCredentials"].get(application["id"], [])
            ),
            "roles": len(found["appRoleAssignments"]),
            "owners": len(found["owners"][self.mail]),
        }


@pytest.fixture
def life(tenant: Service, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A new stack."""
    monkeypatch.setattr(resource_type, "POLLS", 1)
    return begun(tenant, monkeypatch)


def begun(tenant: Service, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A new stack, whose settings the program reads from now on."""
    made = Life(tenant)
    monkeypatch.setattr(settings, "configuration", lambda: made.configured)
    return made


WHOLE: Json = {
    "applications": ["NocoBase mail deployer", "NocoBase mail previews", "mail"],
    "principals": ["NocoBase mail deployer", "NocoBase mail previews"],
    "trusts": [ANY_BRANCH, ("prod", "prod"), ("test", "test")],
    "roles": 4,
    "owners": 2,
}


def test_made_unchanged_and_unmade(life: Life) -> None:
    assert [kind for kind, _ in life.up()] == ["create"] * 12
    assert life.held() == WHOLE
    assert life.up() == []
    assert life.changes == []
    life.engine.destroy()
    # Everything else goes with the two applications.
    deleted = life.changes
    assert [change.rpartition("/")[0] for change in deleted] == ["DELETE /v1.0/applications"] * 2
    assert life.held() == life.before


def test_what_somebody_removed_by_hand_does_not_stop_the_end(life: Life) -> None:
    life.up()
    directory = life.tenant.directory
    principal = directory.snapshot()["servicePrincipals"][0]
    directory.delete_service_principal(principal["id"], identity.ADMINISTRATOR_OBJECT_ID)
    for application in directory.objects("applications"):
        if application["displayName"] != "mail":
            directory.state.federatedIdentityCredentials[application["id"]].pop()
    life.engine.destroy()
    assert life.held() == life.before


def test_what_is_not_declared_is_not_touched_and_what_is_any_run_puts_right(life: Life) -> None:
    life.up()
    directory, me = life.tenant.directory, identity.ADMINISTRATOR_OBJECT_ID
    (deployer,) = [one for one in directory.objects("applications") if one["displayName"] == "NocoBase mail deployer"]
    by_hand = {"notes": "by hand", "tags": ["theirs"]}
    web = {"logoutUrl": "https://a.example.com/out", "redirectUris": ["https://a.example.com/x"]}
    directory.update_application(deployer["id"], {**by_hand, "web": web}, me)
    of_deployer = {"appId": deployer["appId"]}
    (principal,) = [one for one in directory.snapshot()["servicePrincipals"] if of_deployer.items() <= one.items()]
    directory.update_service_principal(principal["id"], {**by_hand, "appRoleAssignmentRequired": True}, me)
    assert life.up() == []
    directory.update_application(deployer["id"], {"displayName": "by hand"}, me)
    directory.update_service_principal(principal["id"], {"accountEnabled": False}, me)
    assert sorted(life.up()) == [("update", "deployer"), ("update", "deployer")]
    found = directory.snapshot()
    (deployer,) = [one for one in found["applications"] if one["displayName"] == "NocoBase mail deployer"]
    (principal,) = [one for one in found["servicePrincipals"] if of_deployer.items() <= one.items()]
    assert principal["accountEnabled"] is principal["appRoleAssignmentRequired"] is True
    assert all(one["notes"] == "by hand" and one["tags"] == ["theirs"] for one in (deployer, principal))
    assert {name: deployer["web"][name] for name in web} == web
    # An owner of the stack's own, removed by another administrator.
    life.configured["owners"] = json.dumps([OWNER])
    life.up()
    directory.remove_owner("applications", deployer["id"], OWNER, me)
    assert life.up() == [("update", "deployer")]
    assert OWNER in {one["id"] for one in directory.owners("applications", deployer["id"])}


def test_a_trust_has_a_new_name(life: Life) -> None:
    life.up()
    life.trust("test", "production", production="prod")
    assert life.up() == [("replace", "deployer-production"), ("create", "deployer-production")]
    assert life.held()["trusts"] == [ANY_BRANCH, ("production", "prod"), ("test", "test")]
    assert life.up() == []


def test_a_trust_has_another_subject(life: Life) -> None:
    life.up()
    life.trust("test", "prod", prod="production")
    assert life.up() == [("update", "deployer-prod")]
    assert life.held()["trusts"] == [ANY_BRANCH, ("prod", "production"), ("test", "test")]


def test_the_identity_for_previews_comes_and_goes(life: Life) -> None:
    life.configured["previews"] = "false"
    life.up()
    without = life.held()
    assert (without["applications"], without["roles"]) == (["NocoBase mail deployer", "mail"], 2)
    life.configured["previews"] = "true"
    assert {kind for kind, _ in life.up()} == {"create"}
    assert life.held() == WHOLE
    life.configured["previews"] = "false"
    assert {kind for kind, _ in life.up()} == {"delete"}
    assert life.held() == without


def test_a_stack_of_an_earlier_version_goes_over_step_by_step(life: Life) -> None:
    """Add, then switch the pipelines, then remove."""
    earlier = {
        "name": "github-test-preview",
        "issuer": settings.GITHUB,
        "subject": "repo:contoso/mail:environment:test-preview",
    }
    life.configured |= {"environments": '["test"]', "githubRepository": "contoso/mail", "previews": "false"}
    life.configured["otherTrusts"] = json.dumps([earlier])
    life.up()
    (old,) = (one for one in life.held()["trusts"] if one[1] == earlier["subject"])

    del life.configured["otherTrusts"]
    life.configured["previews"] = "true"
    added = life.up()
    assert {kind for kind, _ in added} == {"create"}
    both = [trust for trust in life.held()["trusts"] if trust == old]
    assert len(both) == 2
    assert life.up() == []

    life.configured["keepEarlierTrusts"] = "false"
    assert life.up() == [("delete", "deployer-github-test-preview")]
    assert [trust for trust in life.held()["trusts"] if trust == old] == [old]


def converge(life: Life) -> int:
    """Run until a run succeeds; how many did not, at most two."""
    for failed in range(2):
        try:
            life.up()
        except StepFailed:
            continue
        return failed
    life.up()
    return 2


def changes_of(life: Life, run: Callable[[], object]) -> list[str]:
    """The changing requests of a run on a good day."""
    life.tenant.take_requests()
    run()
    return life.changes


def survived(life: Life, fault: str, number: int, change: str, whole: Json) -> int:
    """A run whose change of that number goes wrong is resumed by the next; how many runs failed."""
    life.tenant.fault("^(POST|PATCH|DELETE) /(v1.0|beta)", skip=number, **FAULTS[fault])
    failed = converge(life)
    assert not life.tenant.faults.active, change
    assert life.up() == [], change
    lost = life.held()
    # The state never learns of an application whose answer is lost; only a person can see that there are two.
    duplicates = [name for name in whole["principals"] if lost["applications"].count(name) == 2]
    assert len(duplicates) == (1 if change == "POST /v1.0/applications" and fault != DENIED else 0)
    assert lost == {**whole, "applications": sorted([*whole["applications"], *duplicates])}
    return failed


@pytest.mark.parametrize("fault", [LOST, UNAVAILABLE, pytest.param(DENIED, marks=pytest.mark.proof)])
def test_whatever_goes_wrong_with_any_change_the_next_run_resumes(
    life: Life, fault: str, monkeypatch: pytest.MonkeyPatch, say: Say
) -> None:
    life.configured["previews"] = "false"
    changes = changes_of(life, life.up)
    whole = life.held()
    assert len(changes) == 10
    failed = 0
    for number, change in enumerate(changes):
        life.tenant.directory.start_anew()
        fresh = begun(life.tenant, monkeypatch)
        fresh.configured["previews"] = "false"
        failed += survived(fresh, fault, number, change, whole)
        fresh.engine.destroy()
    say(f"{len(changes)} changes of bootstrap/, {fault}: {failed} runs failed, and each was resumed by the next")


@pytest.mark.parametrize("fault", [pytest.param(one, marks=pytest.mark.proof) for one in (LOST, UNAVAILABLE, DENIED)])
def test_whatever_goes_wrong_when_the_identity_for_previews_comes_the_next_run_resumes(
    life: Life, fault: str, say: Say
) -> None:
    life.configured["previews"] = "false"
    life.up()
    life.configured["previews"] = "true"
    changes = changes_of(life, life.up)
    assert len(changes) == 8
    failed = 0
    for number, change in enumerate(changes):
        life.configured["previews"] = "false"
        life.up()
        # What a lost answer has left, a person removes.
        for application in life.tenant.directory.snapshot()["applications"]:
            if application["displayName"] == "NocoBase mail previews":
                life.tenant.directory.delete_application(application["id"], identity.ADMINISTRATOR_OBJECT_ID)
        life.configured["previews"] = "true"
        failed += survived(life, fault, number, change, WHOLE)
    say(f"{len(changes)} changes of its identity for previews, {fault}: {failed} runs failed, and each was resumed")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_new_name_is_survived_as_well(life: Life, fault: str) -> None:
    life.up()
    for number, (old, new) in enumerate([("prod", "one"), ("one", "two")]):
        life.trust("test", new, **{new: "prod"})
        life.tenant.fault("^(POST|DELETE) /v1.0/applications/.*/federated", skip=number, **FAULTS[fault])
        converge(life)
        assert life.up() == [], (old, new)
        assert life.held()["trusts"] == sorted([ANY_BRANCH, (new, "prod"), ("test", "test")])


def test_a_rejected_sign_in_is_a_sentence(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_CLIENT_SECRET", "wrong")
    with pytest.raises((Ended, StepFailed), match="AADSTS7000215"):
        ModelEngine(in_process.provider(dict(os.environ)), "x", "y").up(lambda: None)
    assert life.held() == life.before
