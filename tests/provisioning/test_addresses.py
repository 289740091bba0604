"""One spelling of each address, or why it is none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.addresses import AddressRejected, comparable, normalized_address, normalized_uri
from tests.hostile import PAYLOADS
from tests.job_logs import commands, hidden


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://LOCALHOST:13100", "http://localhost:13100"),
        (" HTTPS://N.Example.com:443/CRM/ ", "https://n.example.com/CRM"),
        ("http://localhost:80", "http://localhost"),
        ("https://n.example.com:80", "https://n.example.com:80"),
        ("https://n.example.com:", "https://n.example.com"),
        ("https://Büro.example.com", "https://xn--bro-hoa.example.com"),
        ("https://xn--bro-hoa.example.com", "https://xn--bro-hoa.example.com"),
        ("https://例え.テスト/crm", "https://xn--r8jz45g.xn--zckzah/crm"),
        ("http://[0:0::1]:13000", "http://[::1]:13000"),
        ("https://my_server/admin-tools", "https://my_server/admin-tools"),
        ("https://admin", "https://admin"),
        ("https://n\u043ecob\u0430se.example.com", "https://xn--ncobse-6nf2i.example.com"),
        ("https://\uff4e.example.com", "https://n.example.com"),
    ],
)
def test_an_address_has_one_spelling(text: str, address: str) -> None:
    assert normalized_address(text) == address
    assert normalized_address(address) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://n.example.com/admin", r"without /admin\. That is https://n\.example\.com\."),
        ("https://N.example.com/admin/", r"without /admin\. That is https://n\.example\.com\."),
        ("https://n.example.com/crm/Admin", r"without /admin\. That is https://n\.example\.com/crm\."),
        ("https://n.example.com:0", "1 to 65535"),
        ("https://n.example.com:99999", "1 to 65535"),
        ("https://n.example.com:http", "1 to 65535"),
        ("n.example.com", "address"),
        ("https:///crm", "address"),
        ("ftp://n.example.com", "address"),
        ("", "blanks"),
        ("https://n .example.com", "blanks"),
        ("https://n\t.example.com", "blanks"),
        ("https:\\\\n.example.com", "backslashes"),
        ("https://a..example.com", "neither a name nor an IP address"),
        ("https://-a.example.com", "neither a name nor an IP address"),
        ("https://*.example.com", "neither a name nor an IP address"),
        ("https://300.1.1.1", "neither a name nor an IP address"),
        ("https://ü_x.example.com", "international name"),
        ("https://[::1", "not a URL"),
        ("https://[bad/", "not a URL"),
        ("https://[fe80::1%eth0]", "neither a name nor an IP address"),
        ("https://[127.0.0.1]", "not a URL|neither a name nor an IP address"),
        ("https://::1", "neither a name nor an IP address"),
        ("https://a:1:2", "neither a name nor an IP address"),
        ("https://n%2eexample.com", "neither a name nor an IP address"),
        ("https://127.1", "neither a name nor an IP address"),
        ("https://0x7f000001", "neither a name nor an IP address"),
        ("https://a.0x1", "neither a name nor an IP address"),
        ("https://xn--a.example.com", "international name"),
        ("https://n.example.com:+80", "1 to 65535"),
        ("https://n.example.com:8_0", "1 to 65535"),
        ("https://n.example.com:\uff18\uff10", "1 to 65535"),
        ("https://n.example.com/$(id)", "path"),
        ("https://n.example.com/a'b", "path"),
        ("https://n.example.com/%2e%2e/a", "path"),
        ("https://n.example.com//a", "path"),
        ("https://n.example.com/\u0430dmin", "path"),
        ("https://n.example.com/a;b@c", "path"),
        ("https://n.example.com/a/../b", "path"),
        ("https://n.example.com/?a", "query"),
        ("https://user:s3cret@n.example.com", "account or password"),
        ("http://n.example.com", "Only https"),
    ],
)
def test_what_is_no_address_is_rejected(text: str, words: str) -> None:
    with pytest.raises(AddressRejected, match=words) as caught:
        normalized_address(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (" HTTPS://N.Example.com:443/CallBack/ ", "https://n.example.com/CallBack/"),
        ("https://n.example.com/x?A=b", "https://n.example.com/x?A=b"),
        ("https://*.Example.com/x", "https://*.example.com/x"),
        ("https://n.example.com/#", "https://n.example.com/#"),
    ],
)
def test_of_a_redirect_uri_only_scheme_and_host_have_one_spelling(text: str, uri: str) -> None:
    assert normalized_uri(text) == comparable(text) == uri


@given(st.text(max_size=40))
def test_any_text_is_normalized_once_or_rejected(text: str) -> None:
    for normalized in (normalized_address, normalized_uri):
        for given_text in (text, f"https://{text}"):
            try:
                once = normalized(given_text)
            except AddressRejected:
                continue
            assert normalized(once) == once
            host = re.split("[/?#]", once.partition("//")[2])[0]
            assert host.isascii()
    assert comparable(comparable(text)) == comparable(text)


@pytest.mark.parametrize("rest", ['/a"b', "/a`b", "/a|b", "/<b>", "/{b}", "/a^b", "/\u0430", "/%zz", "?a=\u0430"])
def test_a_redirect_uri_has_only_the_characters_of_urls(rest: str) -> None:
    with pytest.raises(AddressRejected, match="no URL has"):
        normalized_uri(f"https://n.example.com{rest}")


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_no_rejection_repeats_what_was_given(text: str) -> None:
    for given_text in (text, f"https://{text}", f"https://n.example.com/{text}", f"https://n.example.com:{text}"):
        for normalized in (normalized_address, normalized_uri):
            try:
                shown = normalized(given_text)
            except AddressRejected as rejected:
                shown = str(rejected)
            assert (commands(shown), hidden(shown)) == ([], [])
            assert shown.isascii()
