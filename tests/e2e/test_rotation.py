"""Rotation on the real engine and the real NocoBase, by the testing clock."""

from __future__ import annotations

import pytest

from sandbox.nocobase import server
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.place import Place
from sandbox.project_copy import set_nocobase_url
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack, graph, sandbox_entra

pytestmark = pytest.mark.e2e


def up(stack: Stack, today: str, *arguments: str, ok: bool = True) -> str:
    """`pulumi up` on a certain day."""
    return stack.up("--skip-preview", *arguments, ok=ok, extra={"PROVISIONING_TODAY": today})


def secrets(stack: Stack) -> set[str]:
    """The display names of the client secrets in Entra ID."""
    (application,) = stack.applications
    return {secret["displayName"] for secret in application["passwordCredentials"]}


def test_two_rotations_and_retirements(stack: Stack) -> None:
    up(stack, "2027-01-01")
    first = stack.credentials
    assert secrets(stack) == {"NocoBase mail a 2027-01-01"}
    assert stack.outputs["nextRotation"] == "2027-04-01T00:00:00Z"
    up(stack, "2027-03-31", "--expect-no-changes")

    said = stack.pulumi("preview", extra={"PROVISIONING_TODAY": "2027-04-03"})
    assert "the secret in slot a has been due since 2027-04-01: a new one in slot b" in said
    assert stack.credentials == first
    up(stack, "2027-04-03")
    assert secrets(stack) == {"NocoBase mail a 2027-01-01", "NocoBase mail b 2027-04-01"}
    second = stack.credentials
    assert second == (first[0], stack.outputs["clientSecret"])
    assert second[1] != first[1]
    assert stack.outputs["oldSecretRetires"] == "2027-04-10T00:00:00Z"
    up(stack, "2027-04-09", "--expect-no-changes")

    assert "the old secret in slot a is removed" in up(stack, "2027-04-10")
    assert secrets(stack) == {"NocoBase mail b 2027-04-01"}
    assert stack.credentials == second

    up(stack, "2027-07-01")
    assert secrets(stack) == {"NocoBase mail b 2027-04-01", "NocoBase mail a 2027-06-30"}
    assert stack.credentials[1] == stack.outputs["clientSecret"] != second[1]


def test_a_state_restored_from_a_backup_costs_no_secret_in_use(stack: Stack) -> None:
    up(stack, "2027-01-01")
    backup = stack.state_file.read_text()
    up(stack, "2027-04-03")
    second = stack.credentials
    stack.state_file.write_text(backup)

    # Both secrets are there, and the one that the state does not know is in use.
    said = up(stack, "2027-04-04", ok=False)
    assert "'NocoBase mail b 2027-04-01'" in said
    assert "which may be in use" in said
    assert stack.credentials == second
    assert secrets(stack) == {"NocoBase mail a 2027-01-01", "NocoBase mail b 2027-04-01"}

    # The secret that the state knows is gone: there is room for a new one, and the one in use stays.
    (application,) = stack.applications
    (known,) = [one for one in application["passwordCredentials"] if one["displayName"].startswith("NocoBase mail a")]
    graph(stack, "POST", f"/applications/{application['id']}/removePassword", {"keyId": known["keyId"]})
    up(stack, "2027-04-05")
    assert stack.credentials == (second[0], stack.outputs["clientSecret"])
    assert stack.credentials[1] != second[1]
    assert "NocoBase mail b 2027-04-01" in secrets(stack)


def test_a_push_that_fails_is_gone_on_with_and_the_secret_in_use_stays(stack: Stack) -> None:
    up(stack, "2027-01-01")
    first = stack.credentials
    upstream = nocobase_url(stack.place)
    with BadDay(upstream) as proxy:
        set_nocobase_url(stack.place.project, proxy.url.replace("127.0.0.1", "localhost"))
        # A move to another address of the same NocoBase never empties what is there.
        up(stack, "2027-01-02")
        assert stack.credentials == first
        proxy.add(trouble("server-error", "POST .*mailSettings:update", times=None))
        up(stack, "2027-04-03", ok=False)
        assert stack.credentials == first
        assert len(secrets(stack)) == 2
        before = secrets(stack)
        up(stack, "2027-04-20", ok=False)
        assert secrets(stack) == before
        proxy.clear()
        up(stack, "2027-04-21")
        assert secrets(stack) == before
        assert stack.credentials[1] == stack.outputs["clientSecret"] != first[1]
        set_nocobase_url(stack.place.project, upstream)
        up(stack, "2027-04-21")


def test_a_compromised_secret_is_removed_only_after_the_new_one_is_in_use(stack: Stack) -> None:
    up(stack, "2027-01-01")
    first = stack.credentials
    upstream = nocobase_url(stack.place)
    stack.set("compromisedBefore", "2027-01-10T12:00:00Z")
    with BadDay(upstream) as proxy:
        set_nocobase_url(stack.place.project, proxy.url.replace("127.0.0.1", "localhost"))
        proxy.add(trouble("server-error", "POST .*mailSettings:", times=None))
        up(stack, "2027-01-11", ok=False)
        assert "NocoBase mail a 2027-01-01" in secrets(stack)
        assert stack.credentials == first
        up(stack, "2027-01-11", "--continue-on-error", ok=False)
        assert "NocoBase mail a 2027-01-01" in secrets(stack)
        set_nocobase_url(stack.place.project, upstream)
    up(stack, "2027-01-11")
    assert secrets(stack) == {"NocoBase mail b 2027-01-10"}
    assert stack.credentials[1] != first[1]
    up(stack, "2027-01-12", "--expect-no-changes")


def test_a_nocobase_restored_from_a_backup_is_given_the_present_secret(stack: Stack) -> None:
    up(stack, "2027-01-01")
    present = stack.credentials
    restored = {"clientId": present[0], "clientSecret": "an older secret"}
    stack.nocobase("mailSettings:update", restored, filterByTk=str(stack.row["id"]))
    up(stack, "2027-01-02")
    assert stack.credentials == present
    up(stack, "2027-01-02", "--expect-no-changes")


def test_a_secret_removed_by_hand_is_replaced_after_a_refresh(stack: Stack) -> None:
    up(stack, "2027-01-01")
    first = stack.credentials
    (application,) = stack.applications
    key = {"keyId": application["passwordCredentials"][0]["keyId"]}
    graph(stack, "POST", f"/applications/{application['id']}/removePassword", key)
    # In one operation the plan still knows the record, and makes the same secret anew.
    up(stack, "2027-01-05", "--refresh")
    assert secrets(stack) == {"NocoBase mail a 2027-01-01"}
    assert stack.credentials[1] == stack.outputs["clientSecret"] != first[1]

    (application,) = stack.applications
    key = {"keyId": application["passwordCredentials"][0]["keyId"]}
    graph(stack, "POST", f"/applications/{application['id']}/removePassword", key)
    stack.pulumi("refresh", "--yes", extra={"PROVISIONING_TODAY": "2027-01-06"})
    up(stack, "2027-01-06")
    assert secrets(stack) == {"NocoBase mail a 2027-01-06"}
    assert stack.credentials[1] == stack.outputs["clientSecret"]


def test_an_orphan_of_a_lost_answer_is_removed_by_the_next_run(stack: Stack, place: Place) -> None:
    up(stack, "2027-01-01")
    first = stack.credentials
    # The provider is told 503 after the secret was made; its retry meets the limit of two.
    lost = {"match": "POST .*/addPassword", "status": 503, "after": True, "headers": {"Retry-After": "0"}}
    sandbox_entra(place, "POST", "faults", lost)
    up(stack, "2027-04-03", ok=False)
    assert stack.credentials == first
    assert len(stack.applications[0]["passwordCredentials"]) == 2

    said = stack.pulumi("preview", extra={"PROVISIONING_TODAY": "2027-04-04"})
    assert "was left by an interrupted run" in said
    assert len(stack.applications[0]["passwordCredentials"]) == 2
    up(stack, "2027-04-04")
    assert secrets(stack) == {"NocoBase mail a 2027-01-01", "NocoBase mail b 2027-04-01"}
    assert stack.credentials[1] == stack.outputs["clientSecret"] != first[1]
    up(stack, "2027-04-04", "--expect-no-changes")


def test_somebody_elses_secret_in_the_way_is_named_before_anything_is_touched(stack: Stack) -> None:
    up(stack, "2027-01-01")
    first = stack.credentials
    object_id = stack.outputs["objectId"]
    body = {"passwordCredential": {"displayName": "made by hand"}}
    graph(stack, "POST", f"/applications/{object_id}/addPassword", body)
    said = up(stack, "2027-04-03", ok=False)
    assert "one that this stack did not make is in the way: 'made by hand'" in said
    assert "Traceback" not in said
    assert stack.credentials == first
    assert secrets(stack) == {"NocoBase mail a 2027-01-01", "made by hand"}


def test_a_new_secret_is_pushed_only_when_the_token_endpoint_accepts_it(stack: Stack, place: Place) -> None:
    sandbox_entra(place, "POST", "faults", {"secret_delay": 4})
    try:
        up(stack, "2027-01-01")
    finally:
        sandbox_entra(place, "DELETE", "faults")
    assert stack.credentials[1] == stack.outputs["clientSecret"]
    asked = [item for item in sandbox_entra(place, "GET", "requests")["value"] if item["path"].endswith("/token")]
    assert any(item["status"] == 401 for item in asked)


def test_a_testing_clock_on_a_real_tenant_is_refused(stack: Stack) -> None:
    real = {"PROVISIONING_TODAY": "2027-01-01", "ARM_METADATA_HOSTNAME": ""}
    said = stack.up(ok=False, extra=real)
    assert "Entra ID is not on this machine" in said
    assert server.api_key(stack.place) not in said
