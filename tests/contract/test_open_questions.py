"""What is not certain about Entra ID: asked of a real tenant, believed of the sandbox.

On a real tenant these tests do not fail by an answer. They note it, and the run ends with the answers.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from provisioning.entra.rules import Audience
from provisioning.entra.scopes import MICROSOFT_GRAPH
from tests.contract.report import Report
from tests.contract.tenant import ACCEPTED, Tenant
from tests.contract.test_tenant import DISABLED, PERSONAL

Json = dict[str, Any]

PERSONAL_ONLY, NO_PERSONAL, NO_CONSENT = 9002346, 9002332, 65001
EXCHANGE = ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
LENGTHS = (64, 90, 91, 120, 121, 255, 256, 257, 512, 1024)


def said(code: int) -> str:
    """An answer of the token endpoint."""
    return "a token" if code == ACCEPTED else f"AADSTS{code}"


@pytest.mark.parametrize("audience", list(Audience))
def test_principal_and_token_for_each_audience(tenant: Tenant, report: Report, audience: Audience) -> None:
    personal = audience is Audience.PERSONAL
    made = tenant.create_application(signInAudience=audience.value, api={"requestedAccessTokenVersion": 2})
    status = tenant.status("POST", "/servicePrincipals", {"appId": made["appId"]}, settled=201)
    report.note(f"a service principal for {audience}", status, 201)
    value, code = tenant.add_password(made)["secretText"], PERSONAL_ONLY if personal else ACCEPTED
    found = tenant.token_error(made["appId"], value, expect=code)
    report.note(f"client credentials of {audience} at the tenant", said(found), said(code))
    found = tenant.token_error(made["appId"], value, expect=NO_PERSONAL, authority="consumers")
    report.note(f"client credentials of {audience} at consumers", said(found), said(NO_PERSONAL))


def test_how_long_a_new_secret_settles(tenant: Tenant, report: Report) -> None:
    made = tenant.create_application(**PERSONAL)
    tenant.create_service_principal(made)
    tenant.token_error(made["appId"], tenant.add_password(made)["secretText"], expect=ACCEPTED)
    begun, value = time.monotonic(), tenant.add_password(made)["secretText"]
    tenant.token_error(made["appId"], value, expect=ACCEPTED)
    accepted, refused, last = time.monotonic() - begun, 0, 0.0
    for _ in range(tenant.access.looks):
        time.sleep(tenant.access.pause)
        if tenant.token_error(made["appId"], value) != ACCEPTED:
            refused, last = refused + 1, time.monotonic() - begun
    flips = f"{refused} of {tenant.access.looks} later requests refused, the last after {last:.0f} s"
    report.note(f"a second secret, first accepted after {accepted:.0f} s", flips, flips)


@pytest.mark.parametrize("whose", ["a service principal", "a user"])
def test_another_owner_at_creation_and_later(tenant: Tenant, report: Report, whose: str) -> None:
    directory = f"{tenant.access.graph}/v1.0/directoryObjects"
    if whose == "a user":
        other = tenant.access.somebody
        if other is None:
            report.note("a user as owner", "not asked: TENANT_TEST_USER names nobody", "an answer")
            return
    else:
        other = tenant.create_service_principal(tenant.create_application(**PERSONAL))["id"]
    owners = [f"{directory}/{one}" for one in (tenant.access.caller, other)]
    body = {"displayName": tenant.name(), **PERSONAL, "owners@odata.bind": owners}
    status = tenant.status("POST", "/applications", body, settled=201)
    report.note(f"{whose} as owner at creation", status, 201, 403)
    made = tenant.create_application(**PERSONAL)
    status = tenant.status(
        "POST", f"/applications/{made['id']}/owners/$ref", {"@odata.id": f"{directory}/{other}"}, settled=204
    )
    report.note(f"{whose} as owner later", status, 403, 204)


def test_the_longest_description_of_a_secret(tenant: Tenant, report: Report) -> None:
    made = tenant.create_application(**PERSONAL)
    path, taken = f"/applications/{made['id']}", {}
    for length in LENGTHS:
        body = {"passwordCredential": {"displayName": "d" * length}}
        answer = tenant.answer("POST", f"{path}/addPassword", body, settled=200)
        taken[length] = answer.status_code
        if answer.status_code != 200:
            break
        tenant.call("POST", f"{path}/removePassword", {"keyId": answer.json()["keyId"]}, expect=204)
    accepted = max((length for length, status in taken.items() if status == 200), default=0)
    report.note("the longest description of a secret, of the lengths tried", accepted, LENGTHS[-1])


def test_policies_with_the_callers_rights(tenant: Tenant, report: Report) -> None:
    made = tenant.create_application(**PERSONAL)
    report.note("the caller is", tenant.access.kind, "app", "user")
    report.note("the caller's rights", " ".join(tenant.access.rights), " ".join(tenant.access.rights))
    own = f"/applications/{made['id']}/appManagementPolicies"
    for path in ("/policies/defaultAppManagementPolicy", "/policies/authorizationPolicy", own):
        answer = tenant.answer("GET", path, settled=None)
        held = answer.json() if answer.status_code == 200 else {}
        more = {name: held[name] for name in ("isEnabled", "permissionGrantPoliciesAssigned") if name in held}
        report.note(f"GET {path}", f"{answer.status_code} {more or ''}".strip(), "403", "200")


def test_what_a_deactivated_application_is_told(tenant: Tenant, report: Report) -> None:
    made = tenant.create_application(**PERSONAL)
    tenant.create_service_principal(made)
    value = tenant.add_password(made)["secretText"]
    assert tenant.token_error(made["appId"], value, expect=ACCEPTED) == ACCEPTED
    status = tenant.status("PATCH", f"/applications/{made['id']}", {"isDisabled": True}, settled=204)
    report.note("to deactivate an application", status, 204)
    found = tenant.token_error(made["appId"], value, expect=DISABLED)
    report.note("client credentials of a deactivated application", said(found), said(DISABLED))


def test_a_grant_for_graph_serves_the_scopes_of_exchange(
    tenant: Tenant, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "a consent to Microsoft Graph's permissions, for outlook.office.com's"
    if not tenant.access.interactive:
        report.note(question, "not asked: --sign-in was not given", "a token")
        return

    def show(message: str) -> None:
        if report.is_told:
            with capsys.disabled():
                print(f"\n{message} If it asks for consent, cancel.")

    made = tenant.create_application(**PERSONAL, isFallbackPublicClient=True)
    principal = tenant.create_service_principal(made)
    found = tenant.device_token_error(made["appId"], EXCHANGE, show)
    report.note("the same without any consent", said(found), said(NO_CONSENT))
    graph = tenant.call("GET", f"/servicePrincipals(appId='{MICROSOFT_GRAPH}')", expect=200)
    scopes = " ".join(scope.rpartition("/")[2] for scope in EXCHANGE)
    grant = {"clientId": principal["id"], "resourceId": graph["id"], "consentType": "AllPrincipals", "scope": scopes}
    tenant.call("POST", "/oauth2PermissionGrants", grant, expect=201)
    found = tenant.device_token_error(made["appId"], EXCHANGE, show)
    report.note(question, said(found), "a token")
