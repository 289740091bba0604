"""A secret that was removed to make room for its successor, by a run that failed before the successor came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.faults import Fault
from tests.e2e.conftest import Stack, sandbox_entra

pytestmark = pytest.mark.e2e

START = datetime(2027, 1, 1, 9, tzinfo=UTC)
ADD_PASSWORD = r"POST /v1.0/applications/[^/]+/addPassword$"


def on_day(stack: Stack, day: int, *arguments: str, ok: bool = True) -> str:
    """`pulumi up` that many days after the start."""
    moment = (START + timedelta(days=day)).isoformat()
    sandbox_entra(stack.place, "POST", "clock", {"now": moment})
    return stack.up(*arguments, ok=ok, extra={"PROVISIONING_TODAY": moment})


@pytest.mark.parametrize(
    "lost", [pytest.param(False, id="refused", marks=pytest.mark.proof), pytest.param(True, id="answer lost")]
)
def test_its_slot_is_issued_into_by_the_next_run(rotated: Stack, lost: bool) -> None:
    # Nothing ran when the old secret was to go; it has expired since, so its slot gets a new one in place.
    body = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}
    fault = Fault(match=ADD_PASSWORD, status=403, body=body, after=lost)
    sandbox_entra(rotated.place, "POST", "faults", fault.model_dump())
    on_day(rotated, 182, ok=False)
    assert len(rotated.applications[0]["passwordCredentials"]) == (2 if lost else 1)

    on_day(rotated, 183)
    (application,) = rotated.applications
    ends = {secret["displayName"][:15]: secret["endDateTime"] for secret in application["passwordCredentials"]}
    assert set(ends) == {"NocoBase mail a", "NocoBase mail b"}
    assert ends["NocoBase mail a"] == rotated.outputs["clientSecretExpiry"] > "2027-12"
    assert rotated.credentials == (rotated.outputs["clientId"], rotated.outputs["clientSecret"])
    on_day(rotated, 184, "--expect-no-changes")
