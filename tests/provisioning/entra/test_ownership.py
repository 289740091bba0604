"""Who owns an application after a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra.ownership import Owners, Wanted, last_deployer_leaves, plan_owners, reject_own_removal
from provisioning.entra.registration import Owner
from provisioning.errors import CallerLockedOut

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
