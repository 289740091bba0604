"""What Entra ID's application, its service principal and its owners mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.doctor import application as checks
from provisioning.doctor.runner import Outcome
from provisioning.entra.account import Account
from provisioning.entra.directory_errors import unreadable_answer
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.permissions import of_scopes
from provisioning.entra.registration import Owner, Principal
from provisioning.program.settings import Settings
from provisioning.status.differences import RESTORE
from tests.provisioning.checkpoints import CLIENT_ID, REDIRECT_URI, URL
from tests.provisioning.status.test_compare import ONE, TAG, registration


def test_the_application() -> None:
    assert ONE.application is not None
    declared = ONE.application.declared
    found = checks.check_application(declared, registration())
    assert (found.outcome, found.said) == (Outcome.OK, f"NocoBase mail, client ID {CLIENT_ID}")
    assert found.value == registration()
    missing = checks.check_application(declared, None)
    assert (missing.said, missing.remedy) == ("it is not in Entra ID any more", RESTORE)
    assert "its audience is X" in checks.check_application(declared, registration(audience="X")).said
    # What has a check of its own is not told twice.
    other = registration(permissions=frozenset(of_scopes(["email"])), redirect_uris=frozenset({"https://x"}))
    assert checks.check_application(declared, other).outcome is Outcome.OK
    assert checks.check_permissions(declared, other).said == (
        "the declared permission SMTP.Send is missing; the permission email is not declared"
    )
    assert checks.check_permissions(declared, registration()).said == "SMTP.Send"
    assert checks.check_redirect_uris(declared, other).said == (
        f"the declared redirect URI {REDIRECT_URI} is missing; the redirect URI https://x is not declared"
    )
    assert checks.check_redirect_uris(declared, registration()).said == REDIRECT_URI
    switched = registration(redirect_uris=frozenset({REDIRECT_URI, "https://old/x"}))
    left = checks.check_redirect_uris(declared, switched, [REDIRECT_URI, "https://old/x"])
    assert (left.outcome, left.said) == (
        Outcome.OK,
        f"{REDIRECT_URI}; the next `pulumi up` removes https://old/x",
    )


def test_a_deactivated_application_and_a_redirect_uri_of_another_platform() -> None:
    assert ONE.application is not None
    declared = ONE.application.declared
    found = checks.check_application(declared, registration(disabled="Microsoft (x)"))
    assert (found.outcome, "deactivated by Microsoft (x)" in found.said) == (Outcome.FAILED, True)
    elsewhere = {REDIRECT_URI: "Single-page application", "https://spa": "Single-page application"}
    found = checks.check_redirect_uris(declared, registration(redirect_uris=frozenset(), of_other_platforms=elsewhere))
    instead = "is registered for the platform Single-page application instead of Web"
    assert found.said == f"the declared redirect URI {REDIRECT_URI} {instead}"
    assert found.remedy == "pulumi up"
    assert checks.check_redirect_uris(declared, registration(of_other_platforms=elsewhere)).outcome is Outcome.OK


def test_what_others_could_use_is_a_warning_with_what_to_do() -> None:
    assert ONE.application is not None
    declared = ONE.application.declared
    assert checks.check_openings(ONE, declared, registration()).outcome is Outcome.OK
    theirs = StoredSecret("key-x", "by hand")
    opened = registration(
        weaknesses=("programs without a secret may sign users in",), secrets=(*registration().secrets, theirs)
    )
    found = checks.check_openings(ONE, declared, opened)
    assert (found.outcome, found.said) == (
        Outcome.WARNING,
        'programs without a secret may sign users in, "by hand" (key-x) is a client secret beside the stack\'s',
    )
    assert str(found.remedy).startswith("pulumi up leaves it as it is.")
    # That it is there instead of on the platform Web has a check of its own.
    elsewhere = registration(redirect_uris=frozenset(), of_other_platforms={REDIRECT_URI: "Single-page application"})
    assert checks.check_openings(ONE, declared, elsewhere).outcome is Outcome.OK


def test_what_the_settings_declare() -> None:
    declared = checks.declared_by(Settings(nocobaseUrl="https://n.example.com", applicationName="Mail"))
    assert (declared.display_name, declared.audience) == ("Mail", "AzureADandPersonalMicrosoftAccount")
    assert declared.redirect_uris == {"https://n.example.com/admin/settings/mail/oauth2"}


@pytest.mark.parametrize(
    ("found", "outcome", "said"),
    [
        (Principal("id", enabled=True), "OK", "there and enabled"),
        (Principal("id", enabled=False), "failed", "disabled"),
        (Principal("id", enabled=True, assignment_required=True), "warning", "AADSTS50105"),
        (None, "failed", "AADSTS7000229"),
        (Principal("id", enabled=True, owners=(Owner("me"),)), "OK", "there and enabled"),
        (Principal("id", enabled=True, owners=()), "warning", "the declared owner me of the service principal is"),
    ],
)
def test_service_principals(found: Principal | None, outcome: str, said: str) -> None:
    finding = checks.check_principal(found, {"me"})
    assert finding.outcome == outcome
    assert said in finding.said
    assert finding.value is (found if outcome != "failed" else None)


ME, LEFT = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11", "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a99"


@pytest.mark.parametrize(
    ("application", "granted", "owners", "outcome"),
    [
        (True, "Application.ReadWrite.OwnedBy", {ME}, "OK"),
        (True, "Application.ReadWrite.OwnedBy", {"other"}, "failed"),
        (True, "Application.ReadWrite.All", {"other"}, "warning"),
        (False, "Application.ReadWrite.All", set(), "warning"),
    ],
)
def test_owners(application: bool, granted: str, owners: set[str], outcome: str) -> None:
    account = Account("x", ME, "tenant", application, frozenset({granted}))
    found = checks.check_owners(account, [Owner(one) for one in owners])
    assert found.outcome == outcome
    assert outcome == "OK" or f"'owners[0]' {ME}," in str(found.remedy)
    # Whom the settings name already is not written over.
    beside = checks.check_owners(account, [Owner(one) for one in owners], ["colleague", "third"])
    assert ME in owners or f"'owners[2]' {ME}," in str(beside.remedy)
    already = checks.check_owners(account, [Owner(one) for one in owners], [ME])
    assert ME in owners or already.remedy == "Have an owner run: pulumi up."


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_an_owner_whom_the_tenant_does_not_have_is_not_to_be_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    account = Account("x", ME, "tenant", True, frozenset())
    settings = Settings(nocobaseUrl=URL, owners=[ME, LEFT])
    monkeypatch.setattr(directory, "application_owners", lambda _: (Owner(ME),))
    monkeypatch.setattr(directory, "gone", frozenset)
    found = checks.ask_owners(account, registration(), settings)
    assert (found.outcome, found.said) == (Outcome.WARNING, f"owners names {LEFT}, which this tenant does not have")
    assert "take it out of owners" in str(found.remedy)
    # Whom somebody has removed is named beside it.
    colleague = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a22"
    both = checks.check_owners(account, [Owner(ME)], [ME, LEFT, colleague], {LEFT})
    assert (colleague in both.said, LEFT in both.said.partition(";")[2]) == (True, False)
    assert str(both.remedy).splitlines() == [checks.TAKE_OUT, "pulumi up"]

    def denied(_: object) -> frozenset[str]:
        raise unreadable_answer(403, "Authorization_RequestDenied", write=False)

    monkeypatch.setattr(directory, "gone", denied)
    assert checks.ask_owners(account, registration(), settings).remedy == "pulumi up"


def test_what_somebody_removed_of_the_stacks_own_is_named() -> None:
    found = checks.check_owners(Account("x", ME, "tenant", True, frozenset()), [Owner(ME)], ["colleague"])
    assert (found.outcome, found.said, found.remedy) == (
        Outcome.WARNING,
        "the declared owner colleague of the application is missing",
        "pulumi up",
    )
    assert ONE.application is not None
    recorded = replace(ONE.application, declared=replace(ONE.application.declared, tags=frozenset({TAG, "earlier"})))
    settings = Settings(nocobaseUrl=URL, applicationName="NocoBase mail", audience="AzureADMyOrg", tags=["mail"])
    declared = checks.declared_by(settings, replace(ONE, application=recorded))
    assert declared.tags == {TAG, "mail"}
    shown = checks.check_application(declared, registration(tags=frozenset({TAG, "theirs"})))
    assert (shown.outcome, shown.said) == (Outcome.FAILED, "the declared tag mail is missing")
