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


def test_nothing_is_near_to_nonsense() -> None:
    assert error_codes.nearest("lorem ipsum dolor sit amet") == []


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


def test_codes_that_have_to_be_known() -> None:
    needed = """700016 50011 65001 90094 7000215 7000222 7000229 50020 50194 53003 50105 50126 54005 70000 70008 70011
        9002313 900144 500113 7000218 650052"""
    found = error_codes.find(needed)
    assert [one.code for one in found if one.entry is None] == []
    assert len(found) == len(needed.split())


def test_what_the_stand_in_for_entra_answers_is_known() -> None:
    spoken = re.findall(r"AADSTS(\d+)", (PROJECT / "sandbox" / "entra" / "errors.py").read_text())
    assert len(spoken) > 10
    assert [one.code for one in error_codes.find(" ".join(spoken)) if one.entry is None] == []
