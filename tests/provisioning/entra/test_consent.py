"""Who has to consent in a tenant, by its policies."""

from __future__ import annotations

import pytest

from provisioning.entra.consent import FOR_THEMSELVES, STEP, Consenter, given, reject_other_consent, rule, unread
from provisioning.entra.registration import Grant
from provisioning.entra.scopes import DEFAULT_SCOPES
from provisioning.errors import ConsentExists
from sandbox.entra import policies

USERS, ADMINISTRATOR, UNCLEAR = Consenter.USERS, Consenter.ADMINISTRATOR, Consenter.UNCLEAR
SELF = "ManagePermissionGrantsForSelf."
OF_TEAMS = "ManagePermissionGrantsForOwnedResource.microsoft-user-default-legacy"
SEND = ("SMTP.Send", "offline_access")


@pytest.mark.parametrize(
    ("assigned", "scopes", "who", "said"),
    [
        (policies.DEFAULT_CONSENT, DEFAULT_SCOPES, ADMINISTRATOR, "for IMAP.AccessAsUser.All"),
        (policies.DEFAULT_CONSENT, SEND, USERS, "these scopes themselves"),
        (policies.DEFAULT_CONSENT, ("Mail.ReadBasic",), ADMINISTRATOR, "for Mail.ReadBasic"),
        ([f"{SELF}microsoft-user-default-legacy"], DEFAULT_SCOPES, USERS, "may consent themselves"),
        ([f"{SELF}Microsoft-User-Default-Legacy".lower()], DEFAULT_SCOPES, USERS, "may consent themselves"),
        ([f"{SELF}microsoft-user-default-low"], DEFAULT_SCOPES, UNCLEAR, "low risk"),
        ([f"{SELF}contoso"], DEFAULT_SCOPES, UNCLEAR, "the tenant's own policy (contoso)"),
        ([f"{SELF}contoso", *policies.DEFAULT_CONSENT], DEFAULT_SCOPES, UNCLEAR, "(contoso)"),
        ([f"{SELF}microsoft-user-default-allow-consent-apps"], DEFAULT_SCOPES, ADMINISTRATOR, "lets no user"),
        ([], DEFAULT_SCOPES, ADMINISTRATOR, "lets no user"),
        ([OF_TEAMS], DEFAULT_SCOPES, ADMINISTRATOR, "lets no user"),
    ],
)
def test_who_has_to_consent(assigned: list[str], scopes: tuple[str, ...], who: Consenter, said: str) -> None:
    found = rule(assigned, scopes)
    assert (found.who, said in found.said) == (who, True)
    assert rule(assigned, scopes, assignment_required=True).who is ADMINISTRATOR


def test_a_tenant_whose_policy_is_not_read_may_be_of_either_kind() -> None:
    assert (unread("403").who, "(403)" in unread("403").said) == (UNCLEAR, True)


def test_the_stand_ins_policies_are_those_of_the_product() -> None:
    assert policies.FOR_THEMSELVES.lower() == FOR_THEMSELVES
    for assigned in (policies.DEFAULT_CONSENT, [f"{SELF}{policies.LEGACY}"], []):
        for scopes in (DEFAULT_SCOPES, SEND, ("Mail.ReadWrite",), ("MailboxSettings.Read",), ("Mail.Send",)):
            may = policies.users_may_consent(assigned, scopes)
            assert (rule(assigned, scopes).who is USERS) is may, (assigned, scopes)


def test_what_is_given_and_what_is_missing() -> None:
    everybody = Grant("graph", frozenset({"SMTP.Send"}), everybody=True)
    one = Grant("graph", frozenset({"User.Read"}), everybody=False)
    found = given(("SMTP.Send", "User.Read", "email"), [everybody, one])
    assert found.missing == ("User.Read", "email")
    assert found.said == "for everybody: SMTP.Send; by single users: User.Read (1); by nobody yet: email"
    assert given(("SMTP.Send",), [everybody]).missing == ()


def test_whoever_opens_the_address_is_told_where_it_ends() -> None:
    assert "the address that `pulumi stack output adminConsentUrl` prints. Microsoft then opens the first" in STEP
    assert "https://" not in STEP


def everybody(*scopes: str) -> Grant:
    """An administrator's consent."""
    return Grant("graph", frozenset(scopes), everybody=True, id="the-id")


def test_a_consent_to_just_the_declared_scopes_can_be_taken_over() -> None:
    reject_other_consent(DEFAULT_SCOPES, None)
    reject_other_consent(DEFAULT_SCOPES, everybody(*reversed(DEFAULT_SCOPES)))


@pytest.mark.parametrize(
    ("present", "said"),
    [
        (("SMTP.Send",), "That consent lacks User.Read. With consent tenant"),
        (("SMTP.Send", "User.Read", "openid"), "That consent has openid besides. With consent tenant"),
        (("SMTP.Send", "openid"), "That consent lacks User.Read and has openid besides. With consent tenant"),
    ],
)
def test_a_consent_to_other_scopes_is_neither_widened_nor_narrowed(present: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConsentExists) as caught:
        reject_other_consent(("SMTP.Send", "User.Read"), everybody(*present))
    assert said in str(caught.value)
    assert "To leave it as it is: `pulumi config set consent user`. " in str(caught.value)
    assert "To make it the declared one: `az rest --method PATCH" in str(caught.value)
    assert """oauth2PermissionGrants/the-id --body '{"scope": "SMTP.Send User.Read"}'`. Then run""" in str(caught.value)
    assert ("Changing it takes openid away. " in str(caught.value)) is ("openid" in present)
