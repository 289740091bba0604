"""The plan held against Entra ID: what becomes of secrets that the state does not know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.entra.client_secret_plan import IssuedSecret, LastSecrets, SecretPlan, Slot
from provisioning.entra.orphans import StoredSecret
from provisioning.errors import SecretLimitReached
from provisioning.program import settings as stack_settings
from provisioning.program.prepare import PlanInputs, plan_run
from provisioning.program.settings import Settings

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
    return stack_settings.load(values, {"nocobaseApiKey"})[0]


def plan(audience: str, doubts: Sequence[str], preview: bool = False) -> tuple[SecretPlan, list[str]]:
    declared = settings(audience)
    return plan_run(
        PlanInputs(
            object_id="object",
            last=LAST,
            now=DUE,
            policy=declared.rotation_policy,
            two_at_most=declared.audience.personal,
            preview=preview,
            removed_for_replacement=frozenset,
            why_maybe_in_use=lambda: doubts,
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
    assert "pulumi up --refresh" in said[0]
    assert removed == []


@pytest.mark.parametrize("preview", [False, True])
def test_an_orphan_that_nobody_uses_makes_room(removed: list[str], preview: bool) -> None:
    planned, said = plan("AzureADandPersonalMicrosoftAccount", [], preview)
    assert set(planned.slots) == {Slot.A, Slot.B}
    assert removed == ([] if preview else ["key-b"])
    assert "removed" in said[0]


def test_one_that_may_be_in_use_stays_and_is_named_where_it_is_in_the_way(removed: list[str]) -> None:
    with pytest.raises(
        SecretLimitReached, match=r"'NocoBase mail b 2027-04-01' \(key-b\), which may be in use: NocoBase"
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
    with pytest.raises(SecretLimitReached, match=r"did not create 'made by hand' \(key-c\)"):
        plan("AzureADandPersonalMicrosoftAccount", [])
    assert removed == []
