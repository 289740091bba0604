"""The table of delegated permissions."""

from __future__ import annotations

from uuid import UUID

from provisioning.entra.scopes import DEFAULT_SCOPES, SCOPE_IDS

MEASURED = {
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "IMAP.AccessAsUser.All": "652390e4-393a-48de-9484-05f9b1212954",
    "SMTP.Send": "258f6531-6087-4cc4-bb90-092c5fb3ed3f",
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
}


def test_the_default_scopes_have_the_ids_of_the_permissions_reference() -> None:
    assert {name: SCOPE_IDS[name] for name in DEFAULT_SCOPES} == MEASURED


def test_every_id_is_a_uuid_and_named_once() -> None:
    assert len({UUID(identifier) for identifier in SCOPE_IDS.values()}) == len(SCOPE_IDS)
