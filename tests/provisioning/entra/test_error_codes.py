"""The table of codes: what stands in a pasted text is found, and nothing else."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra import error_codes
from tests.golden import PROJECT

SIGN_IN = (
    "AADSTS50011: The redirect URI 'https://n.example.com/x' specified in the request does not match the redirect URIs "
    "configured for the application '3f0b0c5e-0000-4000-8000-000000000000'. Trace ID: 1 Timestamp: 2026-11-21"
)
LONG_STATUS = "535 5.7.139 Authentication unsuccessful, "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SIGN_IN, ["AADSTS50011"]),
        ("aadsts700016", ["AADSTS700016"]),
        ("7000215", ["AADSTS7000215"]),
        ("7000215, 50011", ["AADSTS7000215", "AADSTS50011"]),
        ("https://login.microsoftonline.com/error?code=53003", ["AADSTS53003"]),
        ('{"error":"invalid_client","error_codes":[7000222]}', ["AADSTS7000222"]),
        ("AADSTS65001: x AADSTS50020: y AADSTS65001: again", ["AADSTS65001", "AADSTS50020"]),
        ("AADSTS700213: No matching federated identity record found", ["AADSTS70021"]),
        ("00000002 NO AUTHENTICATE failed.", ["IMAP AUTHENTICATE failed"]),
        ("3 BAD User is authenticated but not connected.", ["IMAP User is authenticated but not connected"]),
        ("A1 NO LOGIN failed.", ["IMAP LOGIN failed"]),
        ("NO [THROTTLED] Request is throttled. Suggested Backoff Time: 297318 milliseconds", ["IMAP THROTTLED"]),
        (LONG_STATUS + "SmtpClientAuthentication is disabled for the Tenant. Visit", ["SMTP 5.7.139 tenant"]),
        (LONG_STATUS + "SmtpClientAuthentication is disabled for the Mailbox.", ["SMTP 5.7.139 mailbox"]),
        (
            LONG_STATUS + "user is locked by your organization's security defaults policy.",
            ["SMTP 5.7.139 security defaults"],
        ),
        (
            LONG_STATUS + "the request did not meet the criteria to be authenticated successfully.",
            ["SMTP 5.7.139 criteria"],
        ),
        (LONG_STATUS + "something new", ["SMTP 5.7.139"]),
        ("5.7.139", ["SMTP 5.7.139"]),
        ("535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]", ["SMTP 5.7.3"]),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", ["SMTP 5.7.30"]),
        ("530 5.7.57 Client not authenticated to send mail.", ["SMTP 5.7.57"]),
        ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", ["SMTP 5.7.60"]),
        ("554 5.2.252 SendAsDenied; a@example.com not allowed to send as b@example.com", ["SMTP 5.7.60"]),
        ("432 4.3.2 Concurrent connections limit exceeded", ["SMTP 4.3.2"]),
        ('{"error":{"code":"CredentialInvalidLifetimeAsPerAppPolicy"}}', ["CredentialInvalidLifetimeAsPerAppPolicy"]),
        ("Insufficient privileges to complete the operation.", ["Authorization_RequestDenied"]),
        ("The directory object quota limit for the Principal has been exceeded.", ["Directory_QuotaExceeded"]),
        (
            "Directory_QuotaExceeded: … would exceed the maximum quota count '100' for forward-link 'owners'.",
            ["Owners: quota"],
        ),
        (
            "unauthorized_client: The client does not exist or is not enabled for consumers. If you are the developer",
            ["Personal account: client not enabled"],
        ),
        (
            "invalid_request: The provided value for the input parameter 'redirect_uri' is not valid. The expected",
            ["Personal account: redirect URI"],
        ),
        ("550 5.1.8 Access denied, bad outbound sender.", ["SMTP 5.1.8"]),
        ("550 5.7.233 … (tenant external recipient rate limit)", ["SMTP 5.7.233"]),
        ("550 5.7.236 …", ["SMTP 5.7.236"]),
        ("550 5.7.705 Access denied, tenant has exceeded threshold", ["SMTP 5.7.705"]),
        ("550 5.7.750 Client blocked from sending from unregistered domain", ["SMTP 5.7.750"]),
        ("nothing at all in 2026", []),
        ("version 3.255.0 of 2026-11-21", []),
    ],
)
def test_codes_in_a_text(text: str, expected: list[str]) -> None:
    found = error_codes.find(text)
    assert [one.entry.code if one.entry else None for one in found] == expected


@pytest.mark.parametrize(
    ("text", "code"), [("AADSTS12345: x", "AADSTS12345"), ("550 5.7.999 x", "5.7.999"), ("5.4.1", "5.4.1")]
)
def test_unknown_codes_are_found_without_an_entry(text: str, code: str) -> None:
    assert error_codes.find(text) == [error_codes.Found(code, None)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("AADSTS700017", "AADSTS700016"), ("7000216", "AADSTS7000215"), ("redirect uri", "AADSTS50011")],
)
def test_nearest(text: str, expected: str) -> None:
    assert expected in error_codes.nearest(text)


@pytest.mark.parametrize("text", ["lorem ipsum dolor sit amet", "AADSTS987654", "AADSTS123", "5.7.1", ""])
def test_nothing_is_near_to_what_no_slip_makes_a_known_code(text: str) -> None:
    assert error_codes.nearest(text) == []


def test_a_reason_repeats_nothing_of_the_text_but_the_code() -> None:
    assert error_codes.reason("AADSTS7000215: secret 'a~b' of x") == (
        "AADSTS7000215: Wrong client secret",
        next(entry.remedy for entry in error_codes.entries() if entry.code == "AADSTS7000215"),
    )
    assert error_codes.reason("AADSTS7000215", deployer=True) == (
        "AADSTS7000215: Wrong client secret",
        "Correct ARM_CLIENT_SECRET: the secret's value, not its ID.",
    )
    assert error_codes.reason("AADSTS50011", deployer=True) == error_codes.reason("AADSTS50011")
    assert error_codes.reason("AADSTS1234567: secret") == ("AADSTS1234567", None)
    assert error_codes.reason("AADSTS1234567 AADSTS50011") is not None
    assert error_codes.reason("no code") is None


@given(before=st.text(), entry=st.sampled_from(error_codes.entries()), after=st.text())
def test_a_code_is_found_wherever_it_stands(before: str, entry: error_codes.Entry, after: str) -> None:
    found = error_codes.find(f"{before} {entry.code} {after}")
    if entry.code.startswith("AADSTS"):
        assert entry in [one.entry for one in found]
    assert all(one.entry or re.fullmatch(r"AADSTS\d+|[245]\.\d+\.\d+", one.code) for one in found)


def test_every_entry_has_whole_sentences_and_a_code_of_its_own() -> None:
    every = [code for entry in error_codes.entries() for code in (entry.code, *entry.also)]
    assert [code for code, times in Counter(every).items() if times > 1] == []
    for entry in error_codes.entries():
        assert entry.meaning.endswith("."), entry.code
        assert entry.remedy.endswith("."), entry.code
        assert (entry.deployer or ".").endswith("."), entry.code
        assert not entry.title.endswith("."), entry.code
        assert entry.matches or entry.code.startswith("AADSTS"), entry.code


PAGE = """
Need admin approval
NocoBase mail
NocoBase mail needs permission to access resources in your
organisation that only an admin can grant. Please ask an admin to grant permission to this app before you can use it.
"""


ASSIGNED = "Your administrator has configured the application"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PAGE, ["AADSTS90094"]),
        ("Approval required\nNocoBase mail\nThis app requires your admin\u2019s approval to:", ["AADSTS90094"]),
        ("You can\u2019t get there from here", ["AADSTS53000"]),
        ("You cannot access this right now. Your sign-in was successful but does not", ["AADSTS53003"]),
        ("Selected user account does not exist in tenant 'Contoso' and cannot access", ["AADSTS50020"]),
        ("You can't sign in here with a personal account. Use your work or school account", ["AADSTS500200"]),
        (f"{ASSIGNED}\nNocoBase mail to block users unless they are specifically granted access", ["AADSTS50105"]),
        ("The redirect URI 'https://n.example.com/x' specified in the request does not match", ["AADSTS50011"]),
        (f"AADSTS65001: x {PAGE}", ["AADSTS65001"]),
        ('{"error":"invalid_grant"}', ["invalid_grant"]),
        ('{"error":"invalid_grant","error_description":"AADSTS70008: x"}', ["AADSTS70008"]),
        ("Error: getaddrinfo ENOTFOUND login.microsoftonline.com", ["ENOTFOUND"]),
        ("getaddrinfo EAI_AGAIN outlook.office365.com", ["EAI_AGAIN"]),
        ("Error: connect ECONNREFUSED 127.0.0.1:5432", ["ECONNREFUSED"]),
        ("connect ETIMEDOUT 52.97.1.1:993 … Error: read ECONNRESET", ["ETIMEDOUT", "ECONNRESET"]),
        ("connect ENETUNREACH 2603:1026::1:993 - Local (:::0)", ["ENETUNREACH"]),
        ("Error: self signed certificate in certificate chain", ["Self-signed certificate"]),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", ["Self-signed certificate"]),
        ("Error: unable to verify the first certificate", ["Unable to verify the first certificate"]),
        ("code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'", ["Unable to verify the first certificate"]),
        ("Error: certificate has expired", ["CERT_HAS_EXPIRED"]),
        ("Hostname/IP does not match certificate's altnames: Host: x", ["ERR_TLS_CERT_ALTNAME_INVALID"]),
        ("error:0A00010B:SSL routines:ssl3_get_record:wrong version number", ["Wrong version number"]),
        ("535 5.7.3 Authentication unsuccessful, then read ECONNRESET", ["SMTP 5.7.3", "ECONNRESET"]),
        (
            "error: could not load provider for resource urn:pulumi:dev::x::azuread:index/application:Application::m: "
            "could not create provider: AADSTS7000215: Invalid client secret provided.",
            ["could not load provider", "AADSTS7000215"],
        ),
        (
            "error: could not load provider for resource urn:pulumi:dev::x::azuread:index/application:Application::m: "
            "load plugin for azuread provider 'x': no resource plugin 'pulumi-resource-azuread' found",
            [],
        ),
        ("RequestError: Proxy response (407) !== 200 when HTTP Tunneling", ["Proxy"]),
        ("the tenant's name was not found, and nobody was refused", []),
    ],
)
def test_pages_and_logs_without_a_code(text: str, expected: list[str]) -> None:
    found = error_codes.find_with_texts(text)
    assert [one.entry.code if one.entry else None for one in found] == expected


def test_every_text_has_whole_sentences_and_a_source() -> None:
    known = error_codes.texts()
    own = [entry for entry in (*known.alone, *known.network) if not entry.code.startswith("AADSTS")]
    assert len({entry.code for entry in own}) == len(own) > 10
    for entry in own:
        assert entry.matches, entry.code
        assert entry.meaning.endswith("."), entry.code
        assert entry.remedy.endswith("."), entry.code
        assert not entry.title.endswith("."), entry.code


def test_a_line_of_a_log_is_no_reason_of_an_error() -> None:
    assert error_codes.reason("read ECONNRESET") is None
    assert error_codes.reason('{"error":"invalid_grant"}') is None


def test_codes_that_have_to_be_known() -> None:
    needed = """700016 50011 65001 90094 7000215 7000222 7000229 50020 50194 53003 50105 50126 54005 70000 70008 70011
        9002313 900144 500113 7000218 650052 9002331 9002332 9002346 500200 65006 50074 50072 50078 50158 53001 53002
        530032 50131 90072 700005 28002 28003 500212 500213 500021 700084 501051 1000031 90055 50196 90093 500014"""
    found = error_codes.find(needed)
    assert [one.code for one in found if one.entry is None] == []
    assert len(found) == len(needed.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AADSTS50011", "Only the port of localhost does not count"),
        ("AADSTS65001", "an administrator's step"),
        ("AADSTS90094", "An administrator of the user's tenant opens"),
        ("AADSTS70001", "does not have the application, or it is disabled"),
        ("AADSTS7000112", "an owner can deactivate and Microsoft can disable"),
        ("AADSTS7000222", "issued minutes ago"),
        ("BAD User is authenticated but not connected.", "Forwarding and IMAP"),
        ("NO AUTHENTICATE failed.", "Forwarding and IMAP"),
        ("550 5.7.30 x", "Sign-ins by token are not affected"),
        ("535 5.7.3 x", "smtp-mail.outlook.com"),
        ("Directory_QuotaExceeded", "250 objects"),
    ],
)
def test_what_misleads_easily(text: str, said: str) -> None:
    (found,) = error_codes.find(text)
    assert found.entry is not None
    assert said in f"{found.entry.meaning} {found.entry.remedy}"


@pytest.mark.parametrize("code", ["AADSTS50020", "AADSTS50034", "AADSTS16000", "AADSTS90072"])
def test_an_account_of_somewhere_else_is_no_reason_to_widen_the_audience(code: str) -> None:
    (found,) = error_codes.find(code)
    assert found.entry is not None
    assert "config set audience" not in found.entry.remedy


def test_what_the_stand_in_for_entra_answers_is_known() -> None:
    spoken = re.findall(r"AADSTS(\d+)", (PROJECT / "sandbox" / "entra" / "token_errors.py").read_text())
    assert len(spoken) > 10
    assert [one.code for one in error_codes.find(" ".join(spoken)) if one.entry is None] == []
