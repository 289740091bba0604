"""The application's life on the stand-ins, without the engine: whatever goes wrong at any change, the next run resumes.

The model of the engine is `tests/contract/model_engine.py`; of NocoBase there is nothing here.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from provisioning.entra.ownership import Owners
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program import prepare, stack
from provisioning.program import settings as stack_settings
from provisioning.program.application import MailApplication
from provisioning.program.caller import Caller
from provisioning.program.prepare import PlanInputs, Run, plan_consent
from provisioning.program.settings import Settings
from provisioning.resource_types import GRANT_TYPE, STACK_TYPE
from sandbox.azuread import resources
from sandbox.entra import identity
from tests.contract import in_process
from tests.contract.model_engine import ModelEngine, StepFailed
from tests.figures import Say
from tests.provisioning.entra.conftest import certificates, entra, entra_server, tenant
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server", "tenant"]

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

Json = dict[str, Any]
ME = identity.DEPLOYER_OBJECT_ID
NOW = datetime(2027, 1, 1, tzinfo=UTC)
VALUES = {"nocobaseUrl": "https://nocobase.example.com", "consent": "tenant", "nocobaseApiKey": "key"}
SETTINGS = stack_settings.load(VALUES, {"nocobaseApiKey"})[0]
FOR_USERS = stack_settings.load({**VALUES, "consent": "user"}, {"nocobaseApiKey"})[0]
WHOLE = {"applications": 1, "servicePrincipals": 1, "oauth2PermissionGrants": 1, "secrets": 1}
LOST, UNAVAILABLE = "the answer is lost", "503 after the change"
FAULTS: dict[str, Json] = {
    LOST: {"drop": True, "after": True},
    UNAVAILABLE: {"status": 503, "after": True, "headers": {"Retry-After": "0"}},
}


def program(settings: Settings = SETTINGS) -> None:
    """What `__main__.py` declares in Entra ID, with a secret for each state that has none."""
    last = stack.last_state()
    inputs = PlanInputs(
        object_id=last.object_id,
        last=last.last_secrets,
        now=NOW,
        policy=settings.rotation_policy,
        two_at_most=settings.audience.personal,
        preview=False,
        removed_for_replacement=frozenset,
        awaiting_deletion=frozenset,
        why_maybe_in_use=lambda: (),
    )
    secrets, _ = prepare.plan_run(inputs)
    caller, owners = Caller(ME, identity.TENANT_ID, application=True), Owners((ME,))
    consent = plan_consent(settings, last)
    MailApplication("mail", Run(settings, secrets, settings.redirect_uris, (), caller, owners, owners, consent))


def program_for_users() -> None:
    """The same with the setting `consent` at its default."""
    program(FOR_USERS)


def engine() -> ModelEngine:
    """A new stack."""
    return ModelEngine(in_process.provider(dict(os.environ)), "nocobase-outlook", "prod")


def held(service: Service) -> dict[str, int]:
    """How much the tenant holds of each kind."""
    found = service.directory.snapshot()
    secrets = sum(len(application["passwordCredentials"]) for application in found["applications"])
    return {**{kind: len(found[kind]) for kind in WHOLE if kind in found}, "secrets": secrets}


def changes(service: Service) -> list[str]:
    """The changing requests since the last call."""
    seen = service.take_requests()
    return [f"{one['method']} {one['path']}" for one in seen if one["method"] != "GET" and "/token" not in one["path"]]


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is polled is believed at once."""
    monkeypatch.setattr(resources, "POLLS", 1)


def test_made_unchanged_and_unmade(tenant: Service) -> None:
    made = engine()
    made.up(program)
    assert held(tenant) == WHOLE
    made.up(program)
    assert made.steps == []
    tenant.take_requests()
    made.destroy()
    # Everything else goes with the application.
    (deleted,) = changes(tenant)
    assert deleted.startswith("DELETE /v1.0/applications/")
    assert held(tenant) == dict.fromkeys(WHOLE, 0)


def test_what_somebody_removed_by_hand_does_not_stop_the_end(tenant: Service) -> None:
    made = engine()
    made.up(program)
    (principal,) = tenant.directory.snapshot()["servicePrincipals"]
    tenant.directory.delete_service_principal(principal["id"], ME)
    made.destroy()
    assert held(tenant) == dict.fromkeys(WHOLE, 0)


def test_a_stack_of_an_earlier_version_is_not_changed(tenant: Service) -> None:
    made = engine()
    made.up(program)
    for record in made.records.values():
        record.inputs.pop("useExisting", None)
        if "useExisting" in record.outputs:
            record.outputs["useExisting"] = None
    made.up(program)
    assert made.steps == []


def consented(service: Service) -> Json:
    """What an administrator consents to by the address."""
    found = service.directory.snapshot()
    (application,) = found["applications"]
    by_application = {one["appId"]: one["id"] for one in service.directory.objects("servicePrincipals")}
    return service.directory.create_grant(
        {
            "clientId": by_application[application["appId"]],
            "resourceId": by_application[MICROSOFT_GRAPH],
            "consentType": "AllPrincipals",
            "scope": " ".join(SETTINGS.scopes),
        }
    )


def test_a_consent_taken_over_by_a_run_that_failed_later_is_never_withdrawn(tenant: Service) -> None:
    # The model has no outputs of the stack: they are recorded at the end of a run only.
    made = engine()
    made.up(program_for_users)
    given = consented(tenant)
    made.up(program)
    assert made.steps == [("import", "mail-taken-over")]
    made.up(program)
    assert made.steps == []
    made.up(program_for_users)
    assert made.steps == [("delete", "mail-taken-over")]
    assert tenant.directory.objects("oauth2PermissionGrants") == [given]


def test_a_consent_of_the_stacks_own_keeps_its_name_and_is_withdrawn(tenant: Service) -> None:
    made = engine()
    made.up(program)
    assert [urn.rpartition("::")[2] for urn, one in made.records.items() if one.type == GRANT_TYPE] == ["mail"]
    made.up(program_for_users)
    assert held(tenant) == {**WHOLE, "oauth2PermissionGrants": 0}


def test_a_consent_taken_over_under_the_applications_name_is_renamed_only(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine()
    made.up(program)
    (given,) = tenant.directory.objects("oauth2PermissionGrants")
    resources = stack.last_resources
    output = {"consentTakenOver": f"/oauth2PermissionGrants/{given['id']}"}
    with monkeypatch.context() as patched:
        patched.setattr(stack, "last_resources", lambda: {**resources(), (STACK_TYPE, "x"): output})
        made.up(program)
    assert made.steps == []
    made.up(program_for_users)
    assert made.steps == [("delete", "mail-taken-over")]
    assert tenant.directory.objects("oauth2PermissionGrants") == [given]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_with_any_change_the_next_run_resumes(tenant: Service, fault: str, say: Say) -> None:
    tenant.take_requests()
    engine().up(program)
    requests = changes(tenant)
    assert len(requests) == 7
    failed = 0
    for number, request in enumerate(requests):
        tenant.directory.start_anew()
        made = engine()
        tenant.fault("^(POST|PATCH|DELETE) /v1.0", skip=number, **FAULTS[fault])
        try:
            made.up(program)
        except StepFailed:
            failed += 1
            made.up(program)
        assert not tenant.faults.active, request
        made.up(program)
        assert made.steps == [], request
        # `status` shows an application whose answer was lost, and an orphaned secret, and `prune` removes them.
        twins = {"applications": 2} if request == "POST /v1.0/applications" else {}
        orphans = {"secrets": 2} if request.endswith("addPassword") and fault == UNAVAILABLE else {}
        assert held(tenant) == {**WHOLE, **twins, **orphans}
    say(f"{len(requests)} changes of the application, {fault}: {failed} runs failed, each resumed by the next")
