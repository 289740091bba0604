"""One spelling of each address, or why it is none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.addresses import AddressRejected, comparable, normalized_address, normalized_uri


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
