"""Who owns the application and its service principal after a run, and what is said of it before."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest

from provisioning.entra.ownership import Owners, Wanted
from provisioning.entra.registration import Owner
from provisioning.errors import (
    CallerLockedOut,
    DirectoryUnreadable,
    NoPipelineToken,
    ProvisioningError,
    SettingsError,
    SignInUnusable,
)
from provisioning.program.caller import Caller
from provisioning.program.last_state import Deployed, read_state
from provisioning.program.owners import plan_ownership, reject_too_many_owners, warn_of_added_owners
from provisioning.resource_types import PRINCIPAL_TYPE
from tests.provisioning import checkpoints
from tests.provisioning.doctor.test_account import token

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

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
