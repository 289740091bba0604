"""A secret that was removed to make room for its successor, by a run that broke off before the successor came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.faults import Fault
from sandbox.place import Place
from tests.e2e.conftest import Stack, sandbox_entra

pytestmark = pytest.mark.e2e

START = datetime(2027, 1, 1, 9, tzinfo=UTC)
ADD_PASSWORD = r"POST /v1.0/applications/[^/]+/addPassword$"


@pytest.fixture
def weather(place: Place) -> Iterator[None]:
    """Good weather and the real time again at the end."""
    yield
    sandbox_entra(place, "DELETE", "faults")
    sandbox_entra(place, "DELETE", "clock")


def on_day(stack: Stack, day: int, ok: bool = True) -> str:
    """`pulumi up` that many days after the start."""
    moment = (START + timedelta(days=day)).isoformat()
    sandbox_entra(stack.place, "POST", "clock", {"now": moment})
    return stack.up("--skip-preview", ok=ok, extra={"PROVISIONING_TODAY": moment})


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer lost"])
def test_its_slot_is_issued_into_by_the_next_run(stack: Stack, weather: None, lost: bool) -> None:
    on_day(stack, 0)
    on_day(stack, 91)
    # Nothing ran when the old secret was to go; it has expired since, so its slot is issued into in place.
    body = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}
    fault = Fault(match=ADD_PASSWORD, status=403, body=body, after=lost)
    sandbox_entra(stack.place, "POST", "faults", fault.model_dump())
    on_day(stack, 182, ok=False)
    assert len(stack.applications[0]["passwordCredentials"]) == (2 if lost else 1)

    on_day(stack, 183)
    (application,) = stack.applications
    ends = {secret["displayName"][:15]: secret["endDateTime"] for secret in application["passwordCredentials"]}
    assert set(ends) == {"NocoBase mail a", "NocoBase mail b"}
    assert ends["NocoBase mail a"] == stack.outputs["clientSecretExpiry"] > "2027-12"
    assert stack.credentials == (stack.outputs["clientId"], stack.outputs["clientSecret"])
    on_day(stack, 184)
    assert "unchanged" in on_day(stack, 184)
