"""The plan compared with Entra ID: what becomes of secrets that the state does not know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from provisioning.entra.client_secret_plan import IssuedSecret, LastSecrets, SecretPlan, Slot
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.ownership import Owners, Wanted
from provisioning.entra.registration import Grant, Owner
from provisioning.entra.scopes import DEFAULT_SCOPES
from provisioning.errors import (
    CallerLockedOut,
    ConsentExists,
    DirectoryUnreadable,
    NoPipelineToken,
    ProvisioningError,
    SecretLimitReached,
    SettingsError,
    SignInUnusable,
)
from provisioning.program import validation
from provisioning.program.caller import Caller
from provisioning.program.client_secrets import GONE, PlanInputs, plan_run
from provisioning.program.last_state import Deployed, read_state
from provisioning.program.owners import plan_ownership, reject_too_many_owners, warn_of_added_owners
from provisioning.program.prepare import plan_consent
from provisioning.program.run import TakenOver
from provisioning.program.settings import Settings
from provisioning.resource_types import PRINCIPAL_TYPE
from tests.provisioning import checkpoints
from tests.provisioning.doctor.test_account import token

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

DAY = datetime(2027, 1, 1, tzinfo=UTC)
DUE = DAY + timedelta(days=100)
IN_USE = IssuedSecret("NocoBase mail a 2027-01-01", DAY, DAY + timedelta(days=180), True, "key-a")
LAST = LastSecrets({Slot.A: IN_USE}, Slot.A, DAY)
KNOWN = StoredSecret("key-a", IN_USE.display_name)
ORPHAN = StoredSecret("key-b", "NocoBase mail b 2027-04-01")
BY_HAND = StoredSecret("key-c", "made by hand")
DOUBT = "NocoBase at https://nocobase.example.com holds another"


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Entra ID holds the secret of the state and an orphan; the key ids of what is removed."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    gone: list[str] = []
    monkeypatch.setattr(directory, "stored_secrets", lambda _: [KNOWN, ORPHAN])
    monkeypatch.setattr(directory, "remove_secret", lambda _, key_id: gone.append(key_id))
    return gone


def settings(audience: str) -> Settings:
    """A stack's settings."""
    values = {"nocobaseUrl": "https://nocobase.example.com", "audience": audience, "nocobaseApiKey": "key"}
    return validation.load(values, {"nocobaseApiKey"})[0]


def plan(
    audience: str,
    doubts: Sequence[str],
    preview: bool = False,
    last: LastSecrets = LAST,
    awaiting: frozenset[Slot] = frozenset(),
    now: datetime = DUE,
) -> tuple[SecretPlan, list[str]]:
    declared = settings(audience)
    return plan_run(
        PlanInputs(
            object_id="object",
            last=last,
            now=now,
            policy=declared.rotation_policy,
            two_at_most=declared.audience.personal,
            preview=preview,
            awaiting_deletion=lambda: awaiting,
            why_maybe_in_use=lambda _: doubts,
        )
    )


def test_an_application_that_is_gone_is_planned_as_a_new_one(
    removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - as above

    monkeypatch.setattr(directory, "stored_secrets", lambda _: None)
    planned, said = plan("AzureADMyOrg", [])
    assert (set(planned.slots), planned.active) == ({Slot.A}, Slot.A)
    assert planned.slots[Slot.A].issued == DUE
    assert said == [GONE]
    assert removed == []


BOTH = LastSecrets({Slot.A: IN_USE, Slot.B: replace(IN_USE, issued=DUE, key_id="key-b")}, Slot.B, DUE)


def test_an_old_secret_that_somebody_has_removed_is_not_issued_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - as above

    # The state that the program is told is from before the refresh. Nothing is due.
    assert set(plan("AzureADMyOrg", [], last=LAST, now=DAY)[0].slots) == {Slot.A}
    monkeypatch.setattr(directory, "stored_secrets", lambda _: [KNOWN, ORPHAN])
    assert plan("AzureADMyOrg", [], last=BOTH)[0].slots == BOTH.slots
    monkeypatch.setattr(directory, "stored_secrets", lambda _: [ORPHAN])
    planned, said = plan("AzureADMyOrg", [], last=BOTH)
    assert (set(planned.slots), planned.active, planned.reasons) == ({Slot.B}, Slot.B, ())
    assert said == ["the secret in slot a is gone in Entra ID"]
    # The one in use is gone: NocoBase gets the other.
    monkeypatch.setattr(directory, "stored_secrets", lambda _: [KNOWN])
    planned, _ = plan("AzureADMyOrg", [], last=BOTH, now=DAY)
    assert (set(planned.slots), planned.active) == ({Slot.A}, Slot.A)


@pytest.mark.parametrize(("doubts", "slots"), [([], {Slot.A, Slot.B}), ([DOUBT], {Slot.B})])
def test_an_old_secret_makes_room_for_a_requested_one_if_no_nocobase_may_use_it(
    removed: list[str], doubts: Sequence[str], slots: set[Slot]
) -> None:
    asked: list[object] = []

    def why_maybe_in_use(known: Collection[Slot]) -> Sequence[str]:
        asked.append(set(known))
        return doubts

    requested = replace(settings("AzureADMyOrg").rotation_policy, requested=DUE + timedelta(days=1))
    inputs = PlanInputs("object", BOTH, DUE + timedelta(days=1), requested, True, False, frozenset, why_maybe_in_use)
    planned, _ = plan_run(inputs)
    assert set(planned.slots) == slots
    assert planned.slots[Slot.B] == BOTH.slots[Slot.B]
    assert (planned.active is Slot.A) is (not doubts)
    assert asked == [{Slot.B}]
    # The engine removes it when it makes the new one.
    assert removed == []


@pytest.mark.parametrize("preview", [False, True])
def test_an_orphan_that_nobody_uses_makes_room(removed: list[str], preview: bool) -> None:
    planned, said = plan("AzureADandPersonalMicrosoftAccount", [], preview)
    assert set(planned.slots) == {Slot.A, Slot.B}
    assert removed == ([] if preview else ["key-b"])
    assert "removed" in said[0]


def test_one_that_may_be_in_use_stays_and_is_named_where_it_is_in_the_way(removed: list[str]) -> None:
    with pytest.raises(
        SecretLimitReached, match=r"\"NocoBase mail b 2027-04-01\" \(key-b\), which may be in use: NocoBase"
    ):
        plan("AzureADandPersonalMicrosoftAccount", [DOUBT])
    assert removed == []


def test_one_that_may_be_in_use_stays_where_there_is_room(removed: list[str]) -> None:
    planned, said = plan("AzureADMyOrg", [DOUBT])
    assert set(planned.slots) == {Slot.A, Slot.B}
    assert removed == []
    assert "may be in use" in said[0]


def test_somebody_elses_secret_in_the_way_is_named_and_stays(
    removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(directory, "stored_secrets", lambda _: [KNOWN, BY_HAND])
    with pytest.raises(SecretLimitReached, match=r"did not create \"made by hand\" \(key-c\)"):
        plan("AzureADandPersonalMicrosoftAccount", [])
    assert removed == []


@pytest.mark.parametrize(("awaiting", "issued"), [({Slot.A}, False), ({Slot.B}, True), (set(), True)])
def test_a_rotation_waits_only_for_a_secret_that_the_engine_has_yet_to_delete(
    removed: list[str], awaiting: set[Slot], issued: bool
) -> None:
    last = replace(LAST, active=None, replaced=frozenset({Slot.A}))
    planned, _ = plan("AzureADMyOrg", [DOUBT], last=last, awaiting=frozenset(awaiting))
    assert (Slot.B in planned.slots) is issued
    assert planned.reasons
    assert removed == []


PIPELINE = Owner("pipeline", "the pipeline", "service principal")
PERSON = Owner("person", "Ann", "user")


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Entra ID has the pipeline and a person as owners of both objects; which of the two it was asked about."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    asked: list[str] = []

    def answer(object_id: str) -> tuple[Owner, ...]:
        asked.append(object_id)
        return PIPELINE, PERSON

    monkeypatch.setattr(directory, "application_owners", answer)
    monkeypatch.setattr(directory, "principal_owners", answer)
    return asked


def deployed(application: list[str], principal: list[str] | None) -> Deployed:
    """A stack whose state has these owners."""
    resources = [checkpoints.application(owners=application)]
    if principal is not None:
        outputs = {"objectId": "principal", "owners": principal}
        resources.append(checkpoints.resource(PRINCIPAL_TYPE, "mail", outputs))
    return read_state({(one["type"], one["urn"].rpartition("::")[2]): one["outputs"] for one in resources})


def test_whoever_runs_it_next_is_added_to_both(owned: list[str]) -> None:
    found = plan_ownership(Wanted("next"), deployed(["pipeline"], ["pipeline"]))
    assert [owners.object_ids for owners in found[:2]] == [("next", "person", "pipeline")] * 2
    assert owned == [checkpoints.OBJECT_ID, "principal"]
    assert found[2] is None


def test_the_two_are_planned_apart(owned: list[str]) -> None:
    application, principal, _ = plan_ownership(Wanted("pipeline"), deployed(["pipeline"], ["person"]))
    assert application == Owners(("pipeline",), as_they_are=True)
    assert principal.object_ids == ("person", "pipeline")
    assert owned == ["principal"]


def test_of_an_adopted_application_only_new_owners_are_added_to_the_service_principal(owned: list[str]) -> None:
    application, principal, _ = plan_ownership(Wanted("pipeline"), deployed(["pipeline"], ["person"]), adopted=True)
    assert (application.as_they_are, principal.as_they_are, owned) == (True, True, [])
    _, principal, _ = plan_ownership(Wanted("next", ["pipeline"]), deployed(["pipeline"], ["person"]), adopted=True)
    assert principal.added == {"next"}
    # One whom an earlier run had added, and somebody has removed.
    last = deployed(["pipeline"], ["person"])
    assert last.principal is not None
    last = replace(last, principal=replace(last.principal, own_owners=frozenset({"pipeline"})))
    assert plan_ownership(Wanted("pipeline"), last, adopted=True)[1].object_ids == ("person", "pipeline")


def test_a_service_principal_that_is_yet_to_be_created_gets_the_owners_of_the_application(owned: list[str]) -> None:
    _, principal, _ = plan_ownership(Wanted("pipeline"), deployed(["person", "pipeline"], None))
    assert principal == Owners(("person", "pipeline"))
    assert owned == []


@pytest.mark.usefixtures("owned")
def test_the_last_deployer_leaves_with_a_warning_that_names_it() -> None:
    state = deployed(["person", "pipeline"], ["person", "pipeline"])
    application, _, warning = plan_ownership(Wanted("person", former=["pipeline"]), state)
    assert application.object_ids == ("person",)
    assert warning is not None
    assert 'service principal "the pipeline" (pipeline)' in warning
    with pytest.raises(CallerLockedOut):
        plan_ownership(Wanted("person", former=["person"]), state)


CONSENTED = Grant("graph", frozenset(DEFAULT_SCOPES), everybody=True, id="x")


def consent_planned(found: Grant | None, last: Deployed, monkeypatch: pytest.MonkeyPatch, consent: str) -> object:
    """The plan, and what Entra ID was asked."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    asked: list[str] = []

    def answer(principal: str) -> Grant | None:
        asked.append(principal)
        return found

    monkeypatch.setattr(directory, "tenant_consent", answer)
    values = {"nocobaseUrl": "https://nocobase.example.com", "consent": consent, "nocobaseApiKey": "key"}
    return plan_consent(validation.load(values, {"nocobaseApiKey"})[0], last), asked


@pytest.mark.parametrize(
    ("found", "consent", "taken_over"),
    [
        (CONSENTED, "tenant", TakenOver("/oauth2PermissionGrants/x", new=True)),
        (None, "tenant", None),
        (CONSENTED, "user", None),
    ],
)
def test_an_administrators_consent_is_taken_over_when_the_stack_declares_one(
    monkeypatch: pytest.MonkeyPatch, found: Grant | None, consent: str, taken_over: TakenOver | None
) -> None:
    asked = ["principal"] if consent == "tenant" else []
    assert consent_planned(found, deployed(["me"], ["me"]), monkeypatch, consent) == (taken_over, asked)


def test_entra_id_is_asked_for_a_consent_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(deployed(["me"], ["me"]), consent="/oauth2PermissionGrants/x")
    assert consent_planned(CONSENTED, known, monkeypatch, "tenant") == (None, [])
    known = replace(known, consent_taken_over=True)
    kept = TakenOver("/oauth2PermissionGrants/x", new=False)
    assert consent_planned(CONSENTED, known, monkeypatch, "tenant") == (kept, [])
    assert consent_planned(CONSENTED, deployed(["me"], None), monkeypatch, "tenant") == (None, [])


def test_a_consent_to_other_scopes_ends_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(CONSENTED, scopes=frozenset({"email"}))
    with pytest.raises(ConsentExists, match="consented to this application already"):
        consent_planned(other, deployed(["me"], ["me"]), monkeypatch, "tenant")


@pytest.mark.parametrize(
    ("roles", "application", "added", "warned"),
    [
        (["Application.ReadWrite.OwnedBy"], True, "ann", True),
        (["Application.ReadWrite.OwnedBy", "Directory.Read.All"], True, "an application", False),
        (["Application.ReadWrite.OwnedBy", "Directory.Read.All"], True, "ann", True),
        (["Application.ReadWrite.OwnedBy", "Directory.Read.All", "User.Read.All"], True, "ann", False),
        (["Application.ReadWrite.OwnedBy"], True, "me", False),
        (["Application.ReadWrite.OwnedBy"], False, "ann", False),
    ],
)
def test_a_pipeline_that_may_not_add_owners_is_told_before(
    monkeypatch: pytest.MonkeyPatch, roles: list[str], application: bool, added: str, warned: bool
) -> None:
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(microsoft_graph, "caller_token", lambda: token({"idtyp": "app", "oid": "me", "roles": roles}))
    monkeypatch.setattr(directory, "people", lambda asked: frozenset({"ann"} & set(asked)))
    planned = Owners(("pipeline", added), present=(PIPELINE,))
    found = warn_of_added_owners(Caller("me", "tenant", application), [planned, Owners(("x",), as_they_are=True)])
    assert bool(found) is warned
    assert not warned or "User.Read.All" in found[0]
    created = Owners(tuple(map(str, range(21))))
    assert (created.added, Owners(("a", "b")).added) == (frozenset({"20"}), frozenset())


@pytest.mark.parametrize("failed", [NoPipelineToken("x"), DirectoryUnreadable("x", "no answer"), SignInUnusable("x")])
def test_without_a_token_there_is_no_warning_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, failed: ProvisioningError
) -> None:
    from provisioning.entra import microsoft_graph  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(microsoft_graph, "caller_token", Mock(side_effect=failed))
    assert warn_of_added_owners(Caller("me", "tenant", application=True), [Owners(("ann",), present=(PIPELINE,))]) == []


def test_more_owners_than_entra_id_allows_end_the_preview() -> None:
    hundred = Owners(tuple(map(str, range(100))))
    reject_too_many_owners([hundred, hundred])
    with pytest.raises(SettingsError, match="101 owners") as caught:
        reject_too_many_owners([hundred, Owners((*hundred.object_ids, "one more"))])
    assert "formerOwners" in str(caught.value)
