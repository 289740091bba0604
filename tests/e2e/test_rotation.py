"""Rotation on the real engine, Entra ID's stand-in and the real NocoBase together, by the testing clock.

Which secrets are to exist on which day is a table in tests/provisioning/entra/test_client_secret_plan.py; whole
histories with failures are in test_rotation_histories.py beside it, and on the real engine in
test_rotation_two_years.py; a secret that is compromised while NocoBase is down is in test_installations.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sandbox.faults import Fault
from tests.e2e.conftest import NEW_YEAR, Stack, graph, sandbox_entra
from tests.e2e.moments import Moment

pytestmark = pytest.mark.e2e

FIRST, SECOND = "NocoBase mail a 2027-01-01", "NocoBase mail b 2027-04-01"


def up(stack: Stack, today: str, *arguments: str, ok: bool = True) -> str:
    """`pulumi up` on a certain day."""
    return stack.up(*arguments, ok=ok, extra={"PROVISIONING_TODAY": today})


def secrets(stack: Stack) -> set[str]:
    """The display names of the client secrets in Entra ID."""
    (application,) = stack.applications
    return {secret["displayName"] for secret in application["passwordCredentials"]}


def remove_by_hand(stack: Stack) -> None:
    """Somebody removes the first client secret in Entra ID."""
    (application,) = stack.applications
    key = {"keyId": application["passwordCredentials"][0]["keyId"]}
    graph(stack, "POST", f"/applications/{application['id']}/removePassword", key)


def test_a_preview_says_what_is_due_and_issues_nothing(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    first = stack.credentials
    assert stack.outputs["nextRotation"] == "2027-04-01T00:00:00Z"
    said = stack.pulumi("preview", extra={"PROVISIONING_TODAY": "2027-04-03"})
    assert "the secret in slot a has been due since 2027-04-01" in said
    assert secrets(stack) == {FIRST}
    assert stack.credentials == first


def test_a_state_restored_from_a_backup_costs_no_secret_in_use(
    rotated: Stack, deployed_once: Callable[..., Moment]
) -> None:
    second = rotated.credentials
    rotated.state_file.write_bytes(deployed_once(**NEW_YEAR).files[rotated.state_file])

    # Both secrets are there, and the one that the state does not know is in use.
    said = up(rotated, "2027-04-04", ok=False)
    assert f'"{SECOND}"' in said
    assert "which may be in use" in said
    assert "Traceback" not in said
    assert rotated.credentials == second
    assert secrets(rotated) == {FIRST, SECOND}

    # The secret that the state knows is gone: there is room for a new one, and the one in use stays.
    remove_by_hand(rotated)
    assert secrets(rotated) == {SECOND}
    up(rotated, "2027-04-05")
    assert rotated.credentials == (second[0], rotated.outputs["clientSecret"])
    assert rotated.credentials[1] != second[1]
    assert SECOND in secrets(rotated)


def test_a_secret_removed_by_hand_is_made_anew_by_the_next_run(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    first = stack.credentials
    remove_by_hand(stack)
    # The plan still knows the record, and makes the same secret anew.
    up(stack, "2027-01-05")
    assert secrets(stack) == {FIRST}
    assert stack.credentials[1] == stack.outputs["clientSecret"] != first[1]


def test_an_application_deleted_by_hand_is_made_anew_although_a_rotation_is_due(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    (application,) = stack.applications
    graph(stack, "DELETE", f"/applications/{application['id']}")
    assert "planned as for a new one" in up(stack, "2027-04-03")
    assert secrets(stack) == {"NocoBase mail a 2027-04-03"}
    assert stack.credentials == (stack.outputs["clientId"], stack.outputs["clientSecret"])
    assert stack.credentials[0] != application["appId"]
    up(stack, "2027-04-04", "--expect-no-changes")


def test_an_orphan_of_a_lost_answer_is_removed_by_the_next_run(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    first = stack.credentials
    # The provider is told 503 after the secret was made; its retry meets the limit of two.
    lost = {"match": "POST .*/addPassword", "status": 503, "after": True, "headers": {"Retry-After": "0"}}
    sandbox_entra(stack.place, "POST", "faults", lost)
    up(stack, "2027-04-03", ok=False)
    assert stack.credentials == first
    assert len(stack.applications[0]["passwordCredentials"]) == 2

    said = stack.pulumi("preview", extra={"PROVISIONING_TODAY": "2027-04-04"})
    assert "was left by an interrupted run" in said
    assert len(stack.applications[0]["passwordCredentials"]) == 2
    up(stack, "2027-04-04")
    assert secrets(stack) == {FIRST, SECOND}
    assert stack.credentials[1] == stack.outputs["clientSecret"] != first[1]


def test_a_replaced_secret_in_use_is_removed_only_after_its_successor_is_in_use(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    first = stack.credentials
    (kept,) = stack.applications[0]["passwordCredentials"]
    refused = Fault(match=r"POST /v1.0/applications/[^/]+/addPassword$", status=403)
    sandbox_entra(stack.place, "POST", "faults", refused.model_dump())
    up(stack, "2027-01-02", "--replace", secret_urn(stack), ok=False)
    assert stack.applications[0]["passwordCredentials"] == [kept]

    up(stack, "2027-01-02", "--replace", secret_urn(stack))
    (new,) = stack.applications[0]["passwordCredentials"]
    assert new["keyId"] != kept["keyId"]
    assert stack.credentials == (first[0], stack.outputs["clientSecret"])
    assert stack.credentials[1] != first[1]


def secret_urn(stack: Stack) -> str:
    """The URN of the secret in slot a."""
    resources = json.loads(stack.state_file.read_text())["checkpoint"]["latest"]["resources"]
    return next(str(one["urn"]) for one in resources if one["urn"].endswith("-secret-a"))
