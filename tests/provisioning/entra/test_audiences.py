"""Which sign-in page serves which audience, as Microsoft documents it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning.entra import audiences
from provisioning.entra.audiences import Page
from provisioning.entra.rules import Audience
from sandbox.entra import identity
from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server"]

CALLBACK = "https://noco.example.com/admin/settings/mail/oauth2"
OWN = "0a1b2c3d-0000-4000-8000-000000000003"
OTHER = "ffffffff-0000-4000-8000-000000000004"


def test_every_audience_and_page_is_in_the_table() -> None:
    assert {audience: set(pages) for audience, pages in audiences.SERVES.items()} == {
        key: set(Page) for key in Audience
    }


@pytest.mark.parametrize(
    ("audience", "authority", "code"),
    [
        ("AzureADMyOrg", "common", "AADSTS50194"),
        ("AzureADMyOrg", "organizations", "AADSTS50194"),
        ("AzureADMyOrg", "consumers", "AADSTS50194"),
        ("AzureADMyOrg", OWN, None),
        ("AzureADMyOrg", OWN.upper(), None),
        ("AzureADMyOrg", OTHER, "AADSTS700016"),
        ("AzureADMyOrg", "contoso.example.com", None),
        ("AzureADMultipleOrgs", "common", None),
        ("AzureADMultipleOrgs", OWN, None),
        ("AzureADMultipleOrgs", "consumers", "AADSTS9002332"),
        ("AzureADandPersonalMicrosoftAccount", "common", None),
        ("AzureADandPersonalMicrosoftAccount", "consumers", None),
        ("AzureADandPersonalMicrosoftAccount", OTHER, None),
        ("PersonalMicrosoftAccount", "consumers", None),
        ("PersonalMicrosoftAccount", "common", "AADSTS9002331"),
        ("PersonalMicrosoftAccount", "organizations", "AADSTS9002346"),
        ("PersonalMicrosoftAccount", OWN, "AADSTS9002346"),
        ("an audience of tomorrow", "common", None),
    ],
)
def test_where_nobody_can_sign_in(audience: str, authority: str, code: str | None) -> None:
    found = audiences.mismatch(authority, audience, OWN)
    assert (found is None) is (code is None)
    assert found is None or code is None or code in found[0]


@pytest.mark.parametrize(
    ("audience", "authority", "use", "smallest"),
    [
        ("AzureADMyOrg", "common", OWN, "AzureADMultipleOrgs"),
        ("AzureADMyOrg", "organizations", OWN, "AzureADMultipleOrgs"),
        ("AzureADMyOrg", "consumers", OWN, None),
        ("AzureADMyOrg", OTHER, OWN, None),
        ("AzureADMultipleOrgs", "consumers", "organizations", None),
        ("PersonalMicrosoftAccount", "common", "consumers", "AzureADandPersonalMicrosoftAccount"),
        ("PersonalMicrosoftAccount", OWN, "consumers", None),
    ],
)
def test_the_remedy_widens_no_further_than_it_must(
    audience: str, authority: str, use: str, smallest: str | None
) -> None:
    found = audiences.mismatch(authority, audience, OWN)
    assert found is not None
    _, remedy = found
    assert f"use '{use}'" in remedy
    assert [name for name in Audience if f"audience {name}" in remedy] == ([smallest] if smallest else [])


@pytest.mark.parametrize("audience", list(Audience))
def test_what_the_link_is_to_name_serves_all_accounts(audience: Audience) -> None:
    page = audiences.page_of(audiences.authority_for(audience, OWN), OWN)
    assert page is not None
    assert audiences.SERVES[audience][page] == audiences.EVERYBODY


def test_what_nocobase_2_serves() -> None:
    served = [audience for audience in Audience if audiences.warning_for_nocobase(audience) is None]
    assert served == [Audience.ANY_TENANT, Audience.ANY_TENANT_AND_PERSONAL]


def test_the_page_has_the_same_table() -> None:
    page = (Path(__file__).parents[3] / "docs/audiences.md").read_text(encoding="utf-8")
    text = page.partition("\n## ")[0]
    header, _, *rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert header == ["audience", *Page]
    assert rows == [
        [audience, *(_cell(audiences.SERVES[audience][page]) for page in Page)] for audience in audiences.SERVES
    ]


PEOPLE = ("a@sandbox.onmicrosoft.com", "b@contoso.example.com", "c@outlook.com")
OF_AUDIENCE = {
    Audience.ONE_TENANT: PEOPLE[:1],
    Audience.ANY_TENANT: PEOPLE[:2],
    Audience.ANY_TENANT_AND_PERSONAL: PEOPLE,
    Audience.PERSONAL: PEOPLE[2:],
}


@pytest.mark.parametrize("authority", ["common", "organizations", "consumers", identity.TENANT_ID])
@pytest.mark.parametrize("audience", list(Audience))
def test_the_sign_in_page_takes_whom_the_table_says(entra: Service, audience: Audience, authority: str) -> None:
    made = entra.directory.create_application(
        {
            "displayName": "mail",
            "signInAudience": audience.value,
            "api": {"requestedAccessTokenVersion": 2},
            "web": {"redirectUris": [CALLBACK]},
        },
        identity.DEPLOYER_OBJECT_ID,
        [],
    )
    entra.directory.create_service_principal({"appId": made["appId"]}, identity.DEPLOYER_OBJECT_ID, [])
    found = {}
    with entra.client() as client:
        for person in PEOPLE:
            asked = {"client_id": made["appId"], "redirect_uri": CALLBACK, "login_hint": person}
            answer = client.get(f"/{authority}/oauth2/v2.0/authorize", params=asked)
            code = re.search(r"AADSTS\d+", answer.text)
            found[person] = code[0] if code else answer.headers["location"].partition("?")[0]
    page = audiences.page_of(authority, identity.TENANT_ID)
    assert page is not None
    table = audiences.SERVES[audience][page]
    own = OF_AUDIENCE[audience]
    signed_in = [person for person in PEOPLE if found[person] == CALLBACK]
    assert set(signed_in) <= set(own)
    if table.nobody is None:
        assert signed_in
        assert (len(signed_in) < len(own)) is table.fewer
    else:
        assert {_cell(table)} == {*found.values()}


def _cell(service: audiences.Service) -> str:
    if service.nobody is None:
        return "some" if service.fewer else "everybody"
    code = re.search(r"AADSTS\d+", service.nobody)
    return code[0] if code else "nobody"
