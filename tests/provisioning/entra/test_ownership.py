"""Who owns an application after a run; what an adoption and the guard of the first deployment read in Entra ID."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra.ownership import (
    Owner,
    Owners,
    Wanted,
    last_deployer_leaves,
    plan_owners,
    reject_namesakes,
    reject_own_removal,
)
from provisioning.errors import CallerLockedOut, NameTaken
from provisioning.foreign import quoted
from sandbox.entra import identity
from tests.provisioning.entra.test_directory import NOBODY, make
from tests.sandbox.entra.service import Service

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

NAME = "it's mail"
DENIED = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}


def test_an_application_made_by_hand_is_in_the_way_of_a_first_deployment(tenant: Service) -> None:
    reject_namesakes(NAME)
    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME})
    with pytest.raises(NameTaken) as refusal:
        reject_namesakes(NAME)
    day = made["createdDateTime"][:10]
    owner = f"service principal {quoted(identity.DEPLOYER_NAME)} ({identity.DEPLOYER_OBJECT_ID})"
    assert re.search(
        rf"client id {made['appId']}, created on {day} \d\d:\d\d UTC, owned by {re.escape(owner)}\..*"
        rf"Only if you know who made it, adopt it: python -m provisioning adopt {made['appId']}$",
        str(refusal.value),
    )
    reject_namesakes("another")
    # Whoever may not read the owners is stopped all the same.
    tenant.fault(f"GET /v1.0/applications/{made['id']}/owners", status=403, body=DENIED)
    with pytest.raises(NameTaken, match="of unknown owners"):
        reject_namesakes(NAME)


def test_whoever_may_not_look_is_not_kept_from_creating(tenant: Service) -> None:
    with tenant.graph() as graph:
        make(graph, "/applications", {"displayName": NAME})
    tenant.fault("GET /v1.0/applications", status=403, body=DENIED)
    reject_namesakes(NAME)


def test_an_application_is_looked_up_with_its_owners_and_all_are_listed_page_by_page(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME, "notes": "by hand", "tags": ["mail"]})
        trust = {
            "name": "github",
            "issuer": "https://token.example.com",
            "subject": "x",
            "audiences": ["api://AzureADTokenExchange"],
        }
        make(graph, f"/applications/{made['id']}/federatedIdentityCredentials", trust)
        alone = directory.look_up(made["appId"])
        make(graph, "/servicePrincipals", {"appId": made["appId"], "notes": "its own"})
        for number in range(4):
            make(graph, "/applications", {"displayName": f"another {number}", "tags": ["pulumi:o/p/s"]})
    assert alone is not None
    assert (alone.application["notes"], alone.owners) == ("by hand", (identity.DEPLOYER_OBJECT_ID,))
    assert (alone.principal, alone.principal_owners) == (None, ())
    found = directory.look_up(made["appId"])
    assert found is not None
    assert found.principal is not None
    assert found.principal["notes"] == "its own"
    assert found.principal_owners == (identity.DEPLOYER_OBJECT_ID,)
    assert {owner.name for owner in found.people} == {identity.DEPLOYER_NAME}
    assert [trust["subject"] for trust in found.federated_credentials] == ["x"]
    assert directory.look_up(NOBODY) is None
    monkeypatch.setattr(directory, "LARGEST_PAGE", 2)
    assert len(directory.applications()) == 5
    assert len(directory.applications_tagged("pulumi:o/p/s")) == 4
    (named,) = directory.applications(NAME)
    assert (named.client_id, named.tags, named.stack) == (made["appId"], ("mail",), None)
    assert named.created is not None
    assert named.created.isoformat() == made["createdDateTime"].replace("Z", "+00:00")


PIPELINE = Owner("pipeline", "the pipeline", "service principal")
PERSON = Owner("person", "Ann", "user")
BY_HAND = Owner("by hand", kind="user")


def unread() -> list[Owner]:
    """Entra ID need not be asked."""
    raise AssertionError


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_a_run_adds_its_caller_and_drops_nobody_who_is_not_named(
    held: set[str], present: set[str], former: set[str]
) -> None:
    planned = plan_owners(Wanted("caller", ["named"], former), held, lambda: [Owner(one) for one in present])
    after = set(planned.object_ids)
    assert after == ({"caller", "named"} | held | present) - former


def test_nothing_is_asked_or_changed_where_the_state_has_the_caller() -> None:
    planned = plan_owners(Wanted("pipeline", ["person"], ["gone"]), {"pipeline", "person", "third"}, unread)
    assert planned == Owners(("person", "pipeline", "third"), as_they_are=True)


def test_a_new_application_is_its_callers_and_the_settings() -> None:
    assert plan_owners(Wanted("person", ["pipeline"], ["gone"]), None, unread) == Owners(("person", "pipeline"))


def test_whoever_was_added_by_hand_stays_when_the_owners_change() -> None:
    planned = plan_owners(Wanted("person"), {"pipeline"}, lambda: [PIPELINE, BY_HAND])
    assert planned.object_ids == ("by hand", "person", "pipeline")


def test_nobody_locks_themselves_out() -> None:
    reject_own_removal(Wanted("person", former=["pipeline"]))
    with pytest.raises(CallerLockedOut, match="formerOwners names person, the account that is signed in"):
        reject_own_removal(Wanted("person", former=["person"]))


@pytest.mark.parametrize(
    ("present", "application_calls", "warned"),
    [
        ([PIPELINE, PERSON], False, True),
        ([PIPELINE, PERSON], True, False),
        ([PIPELINE, Owner("other", "", "service principal"), PERSON], False, False),
        ([PERSON], False, False),
    ],
)
def test_the_last_deployer_does_not_leave_unnoticed(
    present: list[Owner], application_calls: bool, warned: bool
) -> None:
    wanted = Wanted("person", former=["pipeline"], application_calls=application_calls)
    planned = plan_owners(wanted, {"pipeline", "person"}, lambda: present)
    said = last_deployer_leaves(wanted, planned, "application")
    assert (said is not None) is warned
    assert said is None or 'service principal "the pipeline" (pipeline)' in said


def test_owners_are_read_by_name_and_kind(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    deployer = Owner(identity.DEPLOYER_OBJECT_ID, identity.DEPLOYER_NAME, "service principal")
    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME})
        principal = make(graph, "/servicePrincipals", {"appId": made["appId"]})
    assert directory.application_owners(made["id"]) == (deployer,)
    assert directory.principal_owners(principal["id"]) == (deployer,)
    assert directory.application_owners(NOBODY) == ()
    found = directory.registration(made["id"])
    assert found is not None
    assert found.owners == (deployer,)
