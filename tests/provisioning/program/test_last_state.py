"""What is taken from the stack's last state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.entra.client_secret_plan import ISSUED as ISSUED_AT
from provisioning.entra.client_secret_plan import IssuedSecret, LastSecrets, Policy, Slot, plan_secrets, secret_name
from provisioning.program.last_state import Deployed, Principal, Usage, in_use, read_state
from provisioning.pulumi_cli import Checkpoint, plain
from provisioning.resource_types import APPLICATION_TYPE, COMPONENT_TYPE, GRANT_TYPE, PASSWORD_TYPE, PRINCIPAL_TYPE
from tests.provisioning.checkpoints import (
    CLIENT_ID,
    OBJECT_ID,
    TENANT_ID,
    TWO_SECRETS,
    URL,
    Json,
    application,
    outputs,
    password,
    push,
    resource,
    secret,
)

DAY = datetime(2027, 1, 1, tzinfo=UTC)
APPLICATION = application()
SECRET = password("a", "2027-01-01", "2027-06-30")
PUSH = push("a", "2027-01-01")
PROVIDER = resource("pulumi:providers:pulumi-python", "nocobase", {})
ISSUED = {Slot.A: IssuedSecret("NocoBase mail a 2027-01-01", DAY, DAY + timedelta(days=180), key_id="key-a")}
IN_USE = LastSecrets(ISSUED, Slot.A, DAY + timedelta(hours=8))


def state(*resources: Json) -> Deployed:
    """A stack with these resources."""
    checkpoint = Checkpoint([{**item, "outputs": plain(item["outputs"])} for item in resources])
    return read_state(checkpoint.outputs, "prod")


@pytest.mark.parametrize(
    ("resources", "secrets"),
    [
        ([], LastSecrets()),
        ([PROVIDER], LastSecrets()),
        ([APPLICATION], LastSecrets()),
        ([APPLICATION, SECRET], LastSecrets(ISSUED)),
        ([PROVIDER, APPLICATION, SECRET, PUSH], IN_USE),
    ],
)
def test_the_plan_starts_from_what_each_step_left(resources: list[Json], secrets: LastSecrets) -> None:
    found = state(*resources)
    assert found.secrets_for(()) == secrets
    assert (found.client_id, found.object_id) == ((CLIENT_ID, OBJECT_ID) if APPLICATION in resources else (None, None))
    assert found.pushed == ({"nocobase": "2027-01-01T08:00:05.000Z"} if PUSH in resources else {})
    assert [known.value for known in found.secrets] == (["value-a"] if SECRET in resources else [])


def test_nothing_is_no_state_of_a_deployed_stack() -> None:
    assert state() == Deployed("prod")


def test_no_removal_is_promised_before_a_restart() -> None:
    waiting = [push("a", "2027-01-01", restart_due="It has to be restarted.")]
    assert state(*TWO_SECRETS, *waiting).old_retires is None


def test_the_whole_of_a_state() -> None:
    found = state(*TWO_SECRETS)
    assert (found.stack, found.tenant_id) == ("prod", TENANT_ID)
    assert [(known.slot, bool(found.used_by(known))) for known in found.secrets] == [("a", False), ("b", True)]
    assert [pushed.target for pushed in found.pushes] == [URL]
    assert found.old_retires == datetime(2027, 4, 10, 8, tzinfo=UTC)
    assert found.application is not None
    assert found.application.tags == ("pulumi:organization/nocobase-outlook/prod",)


def test_what_a_replacement_has_yet_to_delete_is_not_there_any_more() -> None:
    old = {**password("a", "2026-01-01", "2026-06-30", secret("old")), "delete": True}
    assert state(old, APPLICATION, SECRET) == state(APPLICATION, SECRET, old) == state(APPLICATION, SECRET)


def test_a_secret_without_a_record_was_issued_when_it_begins() -> None:
    old = password("a", "2027-01-01", "2027-06-30")
    del old["outputs"]["rotateWhenChanged"]
    (issued,) = state(APPLICATION, old).secrets_for(()).slots.values()
    assert (issued.issued, issued.recorded) == (DAY + timedelta(hours=8), False)


def test_no_secret_shows_itself() -> None:
    assert "value-" not in repr(state(*TWO_SECRETS))


def test_a_slot_that_was_issued_into_after_the_push_is_not_known_to_be_in_use() -> None:
    former: dict[str, Any] = push("a", "2027-01-01", client_secret=secret("the former secret"))
    found = state(APPLICATION, SECRET, former).secrets_for(())
    assert (found.active, found.replaced) == (None, frozenset({Slot.A}))
    never = {**former, "outputs": {**former["outputs"], "slot": None}}
    assert not state(APPLICATION, SECRET, never).secrets_for(()).replaced


def test_a_secret_of_another_stack_that_a_refresh_has_found_delays_no_rotation() -> None:
    theirs = push("a", "2027-01-01", "nocobase-sales", client_id="another's", client_secret=secret("another's"))
    last = state(APPLICATION, SECRET, PUSH, theirs).secrets_for(())
    assert (last.active, last.replaced) == (Slot.A, frozenset())
    for days, policy in ((91, Policy("mail")), (10, Policy("mail", compromised=DAY + timedelta(days=10)))):
        assert plan_secrets(last, DAY + timedelta(days=days), policy).active is Slot.B


NEWER = {Slot.B: IssuedSecret("mail", DAY + timedelta(days=90), DAY + timedelta(days=270), key_id="b")}
BOTH = {**ISSUED, **NEWER}
ON_A, ON_B, NEVER = Usage(Slot.A, DAY), Usage(Slot.B, DAY + timedelta(days=90)), Usage()
LATER_ON_B = Usage(Slot.B, DAY + timedelta(days=93))


@pytest.mark.parametrize(
    ("usages", "active", "since"),
    [
        ([], None, None),
        ([NEVER], None, None),
        ([ON_B], Slot.B, ON_B.since),
        ([ON_B, LATER_ON_B], Slot.B, LATER_ON_B.since),
        ([ON_B, ON_A], Slot.A, None),
        ([ON_A, ON_B, NEVER], Slot.A, None),
        ([ON_B, NEVER], Slot.B, None),
        ([NEVER, NEVER], None, None),
    ],
)
def test_the_older_secret_counts_as_the_one_in_use_until_all_installations_use_the_newer(
    usages: list[Usage], active: Slot | None, since: datetime | None
) -> None:
    assert in_use(BOTH, usages) == LastSecrets(BOTH, active, since)
    assert in_use(BOTH, usages[::-1]) == LastSecrets(BOTH, active, since)


def test_every_push_counts() -> None:
    failed = push("", "2027-01-01", "nocobase-sales", problem="down")
    found = state(APPLICATION, SECRET, PUSH, failed)
    assert set(found.pushed) == {"nocobase", "nocobase-sales"}
    assert found.secrets_for(()) == LastSecrets(ISSUED, Slot.A, None)


def test_an_installation_whose_push_was_not_recorded_may_use_the_old_secret() -> None:
    found = state(*TWO_SECRETS)
    assert found.secrets_for(["nocobase"]).since == found.secrets_for(()).since is not None
    assert found.secrets_for(["nocobase", "nocobase-sales"]).since is None
    # Where there is no old secret, a new installation delays nothing.
    assert state(APPLICATION, SECRET, PUSH).secrets_for(["nocobase", "nocobase-sales"]) == IN_USE


def test_what_was_interrupted_in_its_creation_is_known_by_its_id() -> None:
    """The provider records the inputs and the id only; the engine's next step completes them."""
    found = read_state(
        {
            (APPLICATION_TYPE, "mail"): {
                "id": "/applications/object",
                "displayName": "mail",
                "tags": None,
                "web": None,
            },
            (PRINCIPAL_TYPE, "mail"): {"id": "/servicePrincipals/principal", "clientId": "client", "owners": ["me"]},
            (PASSWORD_TYPE, secret_name("mail", Slot.A)): {
                "id": "object/password/key",
                "displayName": "NocoBase mail a 2027-01-01",
                "rotateWhenChanged": {ISSUED_AT: "2027-01-01T00:00:00Z"},
                "endDate": "2027-06-30T00:00:00Z",
                "keyId": None,
                "value": "value",
            },
        }
    )
    assert (found.object_id, found.client_id) == ("object", None)
    assert found.principal == Principal("principal", frozenset({"me"}))
    assert [secret.key_id for secret in found.secrets] == ["key"]


def test_the_consent_is_that_of_the_application() -> None:
    grant = {(GRANT_TYPE, "deployer"): {"id": "/oauth2PermissionGrants/x"}}
    assert read_state(grant, name="deployer").consent == "/oauth2PermissionGrants/x"
    assert read_state(grant).consent is None


def test_a_consent_that_was_taken_over_is_known_by_its_name() -> None:
    grant = resource(GRANT_TYPE, "mail-taken-over", {"id": "/oauth2PermissionGrants/x"})
    assert (state(grant).consent, state(grant).consent_taken_over) == ("/oauth2PermissionGrants/x", True)


def test_one_under_the_applications_name_was_taken_over_if_an_output_says_so() -> None:
    grant = resource(GRANT_TYPE, "mail", {"id": "/oauth2PermissionGrants/x"})
    assert (state().consent, state(grant).consent) == (None, "/oauth2PermissionGrants/x")
    assert not state(grant).consent_taken_over
    assert state(grant, outputs(consentTakenOver="/oauth2PermissionGrants/x")).consent_taken_over
    assert not state(grant, outputs(consentTakenOver="/oauth2PermissionGrants/old")).consent_taken_over
    assert not state(outputs(consentTakenOver="/oauth2PermissionGrants/x")).consent_taken_over


def test_the_stacks_own_tags_and_owners_are_those_that_its_component_records() -> None:
    own = {"ownTags": ["mine"], "ownOwners": ["me"], "ownPrincipalOwners": [], "awaitedAudience": "AzureADMyOrg"}
    objects = (application(tags=["mine", "theirs"], owners=["me", "x"]), resource(PRINCIPAL_TYPE, "mail", {"id": "/p"}))
    found = state(*objects, resource(COMPONENT_TYPE, "mail", own))
    assert found.application is not None
    assert found.principal is not None
    assert found.application.declared.tags == {"mine"}
    assert found.application.own_owners == {"me"}
    assert found.application.awaited_audience == "AzureADMyOrg"
    assert found.principal.own_owners == frozenset()
    # An earlier version recorded none.
    earlier = state(*objects).application
    assert earlier is not None
    assert (earlier.declared.tags, earlier.own_owners) == (frozenset(), frozenset())
