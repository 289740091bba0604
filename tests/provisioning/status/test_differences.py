"""How an application in Entra ID differs from the declared one."""

from __future__ import annotations

from dataclasses import replace

from provisioning.entra.permissions import Permission, of_scopes
from provisioning.entra.registration import Registration
from provisioning.status.differences import application_differences

FOUND = Registration(
    display_name="NocoBase mail",
    audience="AzureADMyOrg",
    redirect_uris=frozenset({"https://nocobase.example.com/callback"}),
    permissions=frozenset(of_scopes(["email", "User.Read"])),
    object_id="o",
    client_id="c",
    secrets=(),
)


def test_an_application_as_declared() -> None:
    assert application_differences(FOUND, FOUND) == ()


def test_every_difference_is_a_sentence() -> None:
    declared = replace(
        FOUND,
        display_name="Mail",
        audience="AzureADMultipleOrgs",
        redirect_uris=frozenset({"https://nocobase.example.com/other"}),
        permissions=frozenset(of_scopes(["email", "SMTP.Send"])),
    )
    assert application_differences(declared, FOUND) == (
        "the application is called \"NocoBase mail\" instead of 'Mail'",
        "its audience is AzureADMyOrg instead of AzureADMultipleOrgs",
        "the declared redirect URI https://nocobase.example.com/other is missing",
        "the redirect URI https://nocobase.example.com/callback is not declared",
        "the declared permission SMTP.Send is missing",
        "the permission User.Read is not declared",
    )


def test_a_permission_of_the_application_itself_is_another_one() -> None:
    (delegated,) = of_scopes(["Mail.Read"])
    own = delegated._replace(kind="Role")
    found = replace(FOUND, permissions=FOUND.permissions | {own})
    assert application_differences(FOUND, found) == ("the permission Mail.Read (type Role) is not declared",)
    unknown = replace(FOUND, permissions=FOUND.permissions | {Permission("other-api", "some-id")})
    assert application_differences(unknown, FOUND) == ("the declared permission other-api some-id is missing",)
