"""Who is signed in, by the claims of their token, and what that allows them."""

from __future__ import annotations

import base64
import json
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.doctor.account import ask_rights, check_account, check_last_sign_in, check_rights
from provisioning.doctor.runner import Outcome, failed, ok
from provisioning.entra.account import Account, account_of, read_claims, why_may_not_add_owners
from provisioning.errors import DirectoryUnreadable

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

TENANT = "11111111-1111-1111-1111-111111111111"
APPLICATION = {"idtyp": "app", "appid": "client", "oid": "object", "tid": TENANT}
USER = {"upn": "admin@example.com", "oid": "object", "tid": TENANT, "scp": "Application.ReadWrite.All User.Read"}
ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
CONSENTER = "e8611ab8-c189-46e8-94e1-60213ab1f814"
DEVELOPER = "cf1c38e5-3621-4004-a7cb-879624dced7d"
OWNED_BY, CONSENT = "Application.ReadWrite.OwnedBy", "DelegatedPermissionGrant.ReadWrite.All"


def token(claims: object) -> str:
    """An unsigned JWT."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"head.{payload}.signature"


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.text())))
def test_claims_are_read(claims: dict[str, Any]) -> None:
    assert read_claims(token(claims)) == claims


@given(st.text())
def test_what_is_no_token_has_no_claims(text: str) -> None:
    assert isinstance(read_claims(text), dict)


def test_no_claims_in_a_list() -> None:
    assert read_claims(token([1])) == {}


def test_accounts() -> None:
    application = account_of({**APPLICATION, "roles": [OWNED_BY]})
    assert application == Account("client", "object", TENANT, True, frozenset({OWNED_BY}))
    user = account_of({**USER, "wids": [DEVELOPER]})
    assert (user.name, user.application) == ("admin@example.com", False)
    assert user.directory_roles == {DEVELOPER}
    assert "User.Read" in user.granted


@pytest.mark.parametrize(
    ("recorded", "configured", "changed"),
    [
        ({"version": "6.10.0"}, {}, ""),
        ({"tenantId": TENANT}, {"azuread:tenantId": TENANT}, ""),
        ({"clientId": "a", "clientSecret": "s"}, {"azuread:clientId": "a", "azuread:clientSecret": "s"}, ""),
        # A secret that could not be read is not compared.
        ({"clientId": "a", "clientSecret": None}, {"azuread:clientId": "a", "azuread:clientSecret": "s"}, ""),
        ({"clientSecret": "s"}, {"azuread:clientSecret": "new-secret"}, "azuread:clientSecret"),
        ({"clientId": "a"}, {}, "azuread:clientId"),
        ({}, {"azuread:oidcToken": "t", "azuread:useOidc": "true"}, "azuread:oidcToken"),
        ({"metadataHost": "x"}, {"azuread:environment": "global"}, ""),
    ],
)
def test_a_sign_in_that_has_changed_since_the_last_run_is_named_and_no_value_of_it(
    recorded: dict[str, str], configured: dict[str, str], changed: str
) -> None:
    found = check_last_sign_in(ok("application x", "account"), recorded, configured)
    if not changed:
        assert found == ok("application x", "account")
        return
    said = f"application x; the last run signed in otherwise ({changed}), and the refresh still does"
    assert (found.outcome, found.said, found.value) == (Outcome.WARNING, said, "account")
    assert "`pulumi up --run-program` once" in str(found.remedy)
    # What is wrong with the present one comes first.
    assert check_last_sign_in(failed("nobody", "az login"), recorded, configured).said == "nobody"


@pytest.mark.parametrize(
    ("wanted", "outcome"), [(None, "OK"), (TENANT, "OK"), (TENANT.upper(), "OK"), ("2222", "failed")]
)
def test_the_right_tenant(wanted: str | None, outcome: str) -> None:
    found = check_account(account_of(USER), wanted)
    assert found.outcome == outcome
    assert outcome == "OK" or found.remedy == "az login --tenant 2222, or correct ARM_TENANT_ID."


@pytest.mark.parametrize(
    ("roles", "tenant_consent", "outcome", "word"),
    [
        ([OWNED_BY], False, "OK", OWNED_BY),
        (["Application.ReadWrite.All"], False, "OK", "Application.ReadWrite.All"),
        ([], False, "failed", "no permission"),
        (["User.Read.All"], False, "failed", "has User.Read.All"),
        ([OWNED_BY], True, "failed", CONSENT),
        ([OWNED_BY, CONSENT], True, "OK", CONSENT),
        (["Directory.ReadWrite.All"], True, "OK", "Directory.ReadWrite.All"),
    ],
)
def test_rights_of_applications(roles: list[str], tenant_consent: bool, outcome: str, word: str) -> None:
    found = check_rights(account_of({**APPLICATION, "roles": roles}), tenant_consent, None)
    assert (found.outcome, word in found.said) == (outcome, True)
    assert outcome == "OK" or "add " in str(found.remedy)


@pytest.mark.parametrize(
    ("claims", "tenant_consent", "may_register", "outcome", "word"),
    [
        ({"wids": [ADMINISTRATOR]}, True, None, "OK", "Global Administrator"),
        ({"wids": [DEVELOPER]}, False, False, "OK", "Application Developer"),
        ({"wids": [DEVELOPER]}, True, True, "failed", "administrator's role"),
        ({"wids": [CONSENTER]}, True, True, "OK", "Privileged Role Administrator, may consent"),
        ({"wids": [CONSENTER, DEVELOPER]}, True, False, "OK", "Application Developer, may register"),
        ({"wids": [CONSENTER]}, True, False, "failed", "lets no user register"),
        ({}, True, True, "failed", "administrator's role"),
        ({}, False, True, "OK", "may register"),
        ({}, False, False, "failed", "lets no user"),
        ({}, False, None, "warning", "could not be read"),
        ({"scp": "User.Read"}, False, True, "failed", "on the user's behalf"),
        ({"scp": "Directory.AccessAsUser.All"}, False, True, "OK", "may register"),
    ],
)
def test_rights_of_users(
    claims: dict[str, Any], tenant_consent: bool, may_register: bool | None, outcome: str, word: str
) -> None:
    found = check_rights(account_of({**USER, **claims}), tenant_consent, may_register)
    assert (found.outcome, word in found.said) == (outcome, True)


@pytest.mark.parametrize(
    ("roles", "others", "may"),
    [
        ([OWNED_BY], ["object"], True),
        ([OWNED_BY], ["object", "person"], False),
        (["Application.ReadWrite.All"], ["person"], False),
        ([OWNED_BY, "Directory.Read.All"], ["person"], True),
        (["Directory.ReadWrite.All"], ["person"], True),
    ],
)
def test_an_application_adds_other_owners_with_a_further_permission_only(
    roles: list[str], others: list[str], may: bool
) -> None:
    account = account_of({**APPLICATION, "roles": roles})
    assert (why_may_not_add_owners(account, others) is None) is may
    found = check_rights(account, False, None, others)
    assert found.outcome == ("OK" if may else "warning")
    assert may or "Directory.Read.All" in str(found.remedy)
    assert why_may_not_add_owners(account_of(USER), others) is None


@pytest.mark.parametrize(
    ("roles", "others", "asked", "may"),
    [
        (["Directory.Read.All"], ["a person"], True, False),
        (["Directory.Read.All"], ["a pipeline"], True, True),
        (["Directory.Read.All"], ["object"], False, True),
        (["Directory.Read.All", "User.Read.All"], ["a person"], False, True),
        (["Directory.ReadWrite.All"], ["a person"], False, True),
        ([], ["a person"], False, False),
    ],
)
def test_an_application_adds_people_with_one_more_permission_only(
    monkeypatch: pytest.MonkeyPatch, roles: list[str], others: list[str], asked: bool, may: bool
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    read = Mock(return_value=frozenset({"a person"} & set(others)))
    monkeypatch.setattr(directory, "people", read)
    found = ask_rights(account_of({**APPLICATION, "roles": [OWNED_BY, *roles]}), False, others)
    assert found.outcome == ("OK" if may else "warning")
    assert may or "User.Read.All" in str(found.remedy)
    assert read.called is asked


def test_who_is_a_person_may_be_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(directory, "people", Mock(side_effect=DirectoryUnreadable("x", "no answer")))
    account = account_of({**APPLICATION, "roles": [OWNED_BY, "Directory.Read.All"]})
    assert ask_rights(account, False, ["x"]).outcome == "OK"
