"""What is taken from the stack's last state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.entra.client_secret_plan import IssuedSecret, LastSecrets, Slot
from provisioning.program.last_state import LastState, Proof, in_use, parse_last_state

URN = "urn:pulumi:dev::nocobase-outlook::nocobase-outlook:entra:MailApplication$"
APPLICATION = {
    f"{URN}azuread:index/application:Application::mail": {
        "type": "azuread:index/application:Application",
        "outputs": {"clientId": "the-client-id", "objectId": "the-object-id"},
    }
}
SECRET = {
    f"{URN}azuread:index/applicationPassword:ApplicationPassword::mail-secret-a": {
        "type": "azuread:index/applicationPassword:ApplicationPassword",
        "outputs": {
            "displayName": "mail",
            "startDate": "2026-11-21T00:00:05Z",
            "endDate": "2027-05-20T00:00:00Z",
            "rotateWhenChanged": {"issued": "2026-11-21T00:00:00Z"},
            "keyId": "the-key-id",
            "value": "secret",
        },
    }
}
PUSH: dict[str, Any] = {
    "urn:pulumi:dev::nocobase-outlook::pulumi-python:dynamic/nocobase:MailSettings::nocobase": {
        "type": "pulumi-python:dynamic/nocobase:MailSettings",
        "outputs": {"slot": "a", "since": "2026-11-21T00:01:00Z", "client_secret": "secret"},
    }
}
PROVIDER = {
    "urn:pulumi:dev::nocobase-outlook::pulumi:providers:pulumi-python::nocobase": {
        "type": "pulumi:providers:pulumi-python",
        "outputs": {},
    }
}
DAY = datetime(2026, 11, 21, tzinfo=UTC)
ISSUED = {Slot.A: IssuedSecret("mail", DAY, DAY + timedelta(days=180), key_id="the-key-id")}
STACK = {
    "urn:pulumi:dev::nocobase-outlook::pulumi:pulumi:Stack::nocobase-outlook-dev": {
        "type": "pulumi:pulumi:Stack",
        "outputs": {"forgottenSecrets": ["the-key-id"]},
    }
}
IDS = ("the-client-id", "the-object-id")
VALUES = frozenset({"secret"})
IN_USE = LastSecrets(ISSUED, Slot.A, DAY + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, LastState()),
        (PROVIDER, LastState()),
        (APPLICATION, LastState(*IDS)),
        ({**STACK, **APPLICATION, **SECRET}, LastState(*IDS, LastSecrets(forgotten=ISSUED), values=VALUES)),
        ({**APPLICATION, **SECRET}, LastState(*IDS, LastSecrets(ISSUED), values=VALUES)),
        ({**PROVIDER, **APPLICATION, **SECRET, **PUSH}, LastState(*IDS, IN_USE, {"nocobase": ""}, VALUES)),
    ],
)
def test_last_state_after_each_step(resources: dict[str, Any], expected: LastState) -> None:
    assert parse_last_state(resources) == expected


def test_a_slot_that_was_issued_into_after_the_push_is_not_known_to_be_in_use() -> None:
    ((urn, push),) = PUSH.items()
    former = {urn: {**push, "outputs": {**push["outputs"], "client_secret": "the former secret"}}}
    assert parse_last_state({**APPLICATION, **SECRET, **former}).secrets.active is None


NEWER = {Slot.B: IssuedSecret("mail", DAY + timedelta(days=90), DAY + timedelta(days=270), key_id="b")}
BOTH = {**ISSUED, **NEWER}
ON_A, ON_B, NEVER = Proof(Slot.A, DAY), Proof(Slot.B, DAY + timedelta(days=90)), Proof()
LATER_ON_B = Proof(Slot.B, DAY + timedelta(days=93))


@pytest.mark.parametrize(
    ("proofs", "active", "since"),
    [
        ([], None, None),
        ([NEVER], None, None),
        ([ON_B], Slot.B, ON_B.since),
        ([ON_B, LATER_ON_B], Slot.B, LATER_ON_B.since),
        ([ON_B, ON_A], Slot.A, None),
        ([ON_A, ON_B, NEVER], Slot.A, None),
        ([ON_B, NEVER], Slot.B, None),
        ([NEVER, NEVER], None, None),
    ],
)
def test_a_slot_is_in_use_only_when_all_installations_are_proved_to_use_it(
    proofs: list[Proof], active: Slot | None, since: datetime | None
) -> None:
    assert in_use(BOTH, proofs) == LastSecrets(BOTH, active, since)
    assert in_use(BOTH, proofs[::-1]) == LastSecrets(BOTH, active, since)


def test_every_push_counts() -> None:
    ((urn, push),) = PUSH.items()
    failed = {f"{urn}-sales": {**push, "outputs": {"slot": None, "since": None, "problem": "down"}}}
    last = parse_last_state({**APPLICATION, **SECRET, **PUSH, **failed})
    assert set(last.pushed) == {"nocobase", "nocobase-sales"}
    assert last.secrets == LastSecrets(ISSUED, Slot.A, None)
