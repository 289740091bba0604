"""The plan compared with Entra ID: what becomes of secrets that the state does not know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.entra.client_secret_plan import IssuedSecret, LastSecrets, SecretPlan, Slot
from provisioning.entra.orphans import StoredSecret
from provisioning.errors import SecretLimitReached
from provisioning.program import validation
from provisioning.program.client_secrets import GONE, PlanInputs, plan_run
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
