"""Text from outside is shown on one line, cut, marked, and never acts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.errors import NocoBaseError, ProvisioningError
from provisioning.foreign import (
    CUT,
    LONGEST,
    LONGEST_MESSAGE,
    NO_GUID,
    code_span,
    guid,
    harmless,
    listed,
    markdown,
    one_line,
    parsed_json,
    quoted,
    redact,
)
from tests.hostile import PAYLOADS, SECRETS
from tests.job_logs import commands, hidden

GUID = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clientId", "clientId"),
        ("options.client_id", "options.client_id"),
        ("2027-01-01T08:00:05.000Z", "2027-01-01T08:00:05.000Z"),
        ("https://n.example.com:8443/a?b=c", "https://n.example.com:8443/a?b=c"),
        ("", '""'),
        ("two words", '"two words"'),
        ('a"b`c', "\"a'b'c\""),
        ("www.example.com", '"www.example.com"'),
        ("-rf", '"-rf"'),
        ("a\nb", r'"a\x0ab"'),
        ("\x1b[31mred", r'"\x1b[31mred"'),
        ("\u202egpj", r'"\u202egpj"'),
        ("a\u2028b\x85c", r'"a\u2028b\x85c"'),
        ("\U000e0041", r'"\U000e0041"'),
        ("a\u00a0b", '"a b"'),
        ("##vso[task.debug]", '"# #vso[task.debug]"'),
        ("::error::x", '": :error: :x"'),
        ("###[error]", '"# # #[error]"'),
        ("http://[::1]/x", '"http://[::1]/x"'),
        ("https://ex\u0430mple.com/x", "https://xn--exmple-4nf.com/x"),
        ("https://ex\u0430mple.com:x/", r'"https://ex\u0430mple.com:x/"'),
        ("Büro", '"Büro"'),
    ],
)
def test_a_text_within_a_sentence(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_a_long_text_is_cut_and_a_long_list_is_counted() -> None:
    assert one_line("x" * 3_000_000) == "x" * (LONGEST - 1) + CUT
    assert len(quoted("\x1b" * 3_000_000)) == LONGEST + 2
    assert listed(f"n{number}" for number in range(100)) == ", ".join(f"n{n}" for n in range(10)) + " and 90 more"
    assert len(harmless("x" * 3_000_000)) < LONGEST_MESSAGE + 50


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_nothing_acts_in_any_form(text: str) -> None:
    for form in (
        quoted(text),
        one_line(text),
        listed([text, text]),
        markdown(f"called {quoted(text)}"),
        markdown(text),
    ):
        assert (commands(form), hidden(form)) == ([], [])
        assert "\n" not in form
    for message in (text, f"what {text}", f"lines\n{text}\n  {text}", str(ProvisioningError(text))):
        assert (commands(harmless(message)), hidden(harmless(message))) == ([], [])
    error = NocoBaseError(text, text, text)
    for part in (str(error), error.what, error.why, error.remedy):
        assert (commands(part), hidden(part)) == ([], [])


@settings(deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('#:[]vso"`\r\n')), max_size=60))
def test_any_text_is_made_harmless_once(text: str) -> None:
    for form in (quoted, one_line, harmless, markdown):
        once = form(text)
        assert (commands(once), hidden(once)) == ([], [])
    assert harmless(harmless(text)) == harmless(text)
    assert quoted(text).count('"') in (0, 2)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("in sync", "in sync"),
        ("run `pulumi up`", "run `pulumi up`"),
        ('called "a *b*" instead of x', "called `a *b*` instead of x"),
        ("https://n.example.com/x: in sync", "`https://n.example.com/x`: in sync"),
        ("a|b", "a¦b"),
        ("<img src=x>", "`<img` `src=x>`"),
        ("[text](javascript:x)", "`[text](javascript:x)`"),
        ("@everybody", "`@everybody`"),
        ("one `tick", "``one `tick``"),
        ("`a`<b>", "`a` `<b>`"),
        ("`a```<b>", "```` `a```<b> ````"),
        ("_x_", "`_x_`"),
        ("client_id", "client_id"),
    ],
)
def test_markdown(text: str, written: str) -> None:
    assert markdown(text) == written


def test_code_has_more_ticks_around_it_than_within() -> None:
    assert code_span("main") == "`main`"
    assert code_span("") == "`  `"
    assert code_span("a``") == "``` a`` ```"
    assert code_span("a``b") == "```a``b```"
    assert code_span("`a") == "`` `a ``"


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_redacted_in_every_form_and_where_it_is_cut(secret: str) -> None:
    for text in (secret, f"{secret}{secret}", f"x {secret} y", "x" * (LONGEST - 10) + secret):
        for form in (quoted(text), one_line(text)):
            shown = redact(form, [secret])
            assert secret not in shown
            assert not any(f"{secret[:length]}{CUT}" in shown for length in range(4, len(secret)))


def test_what_is_no_client_id_is_not_repeated() -> None:
    assert guid(GUID) == GUID
    for text in ("abc~secret", f"{GUID}\n", f" {GUID}", "", None, 7):
        assert guid(text) == NO_GUID


@pytest.mark.parametrize("text", ["[" * 200_000, "[" * 150 + "]" * 150, '{"a":' * 120 + "1" + "}" * 120, "{", "\x00"])
def test_json_that_is_none_or_too_deep_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed_json(text)


def test_other_json_is_read() -> None:
    value = {"a": [1, {"b": None}], "c": "x"}
    assert parsed_json(json.dumps(value).encode()) == value
