"""An edit of a configuration changes this program's keys, and no other byte: of a corpus, and of generated texts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from provisioning.nocobase3 import config_file
from provisioning.nocobase3.config_file import OURS, Entry
from provisioning.nocobase3.yaml_text import NotEditable
from sandbox.nocobase3.stand_in import checked
from tests.figures import Say

NAME = "outlook"
ENTRY = Entry("11111111-2222-3333-4444-555555555555", "se~cr'et: #1", "common", ("openid", "https://x/User.Read", "b"))
NEXT = Entry("11111111-2222-3333-4444-555555555555", "another", "organizations", ("b", "openid", "https://x/User.Read"))

CORPUS = json.loads((Path(__file__).parent / "corpus.json").read_text(encoding="utf-8"))
WITHOUT, WITH, REJECTED = (CORPUS[name] for name in ("without an entry", "with an entry", "rejected"))
"""Configurations by what is special about them."""


def meaning(text: str) -> Any:
    """What a reader of YAML takes a text for, without this program's keys and what is empty on the way to them."""
    found = YAML(typ="safe", pure=True).load(io.StringIO(text.replace("\t", " "))) or {}
    mail = found.get("mail") or {}
    providers = mail.get("providers") or {}
    if entry := providers.get(NAME):
        rest = {key: value for key, value in entry.items() if key not in OURS}
        providers = {**providers, NAME: rest} if rest else {key: one for key, one in providers.items() if key != NAME}
    mail = {
        **{key: value for key, value in mail.items() if key != "providers"},
        **({"providers": providers} if providers else {}),
    }
    return {**{key: value for key, value in found.items() if key != "mail"}, **({"mail": mail} if mail else {})}


def kept_bytes(before: str, after: str) -> bool:
    """Whether every character of `before` is in `after`, in its order."""
    rest = iter(after)
    return all(letter in rest for letter in before)


def lives(text: str) -> None:
    """Assert what holds of any configuration without an entry: written, changed, and taken back to the last byte."""
    made = config_file.made_by(text, NAME)
    first = config_file.written(text, NAME, ENTRY)
    assert config_file.read(first, NAME).holds(ENTRY)
    assert kept_bytes(text, first)
    assert meaning(first) == meaning(text)
    assert (
        checked(first.removeprefix("\ufeff").replace("\t", " ").encode())["mail"]["providers"][NAME]["type"]
        == "microsoft"
    )
    second = config_file.written(first, NAME, NEXT)
    assert config_file.read(second, NAME).holds(NEXT)
    assert len(set(first.splitlines()) ^ set(second.splitlines())) <= 2 * 6
    assert config_file.written(second, NAME, ENTRY) == first
    assert config_file.removed(second, NAME, made) == text


@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT.keys())
def test_a_new_entry_changes_no_other_byte_and_leaves_without_a_trace(text: str) -> None:
    lives(text)


@pytest.mark.parametrize("text", WITH.values(), ids=WITH.keys())
def test_an_entry_that_is_there_keeps_its_other_keys_and_comments(text: str) -> None:
    after = config_file.written(text, NAME, ENTRY)
    assert config_file.read(after, NAME).holds(ENTRY)
    assert meaning(after) == meaning(text)
    for comment in ("# t", "# id", "# the id", "# c", "# one", "# two", "# later"):
        assert (comment in after) == (comment in text)
    assert after.count("\r\n") >= text.count("\r\n")
    assert ("\n" in after.replace("\r\n", "")) == ("\n" in text.replace("\r\n", ""))
    empty = config_file.emptied(after, NAME)
    found = config_file.read(empty, NAME)
    assert (found.client_id, found.client_secret, found.tenant) == ("", "", "common")
    assert config_file.written(after, NAME, ENTRY) == after


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED.keys())
def test_what_cannot_be_edited_safely_is_rejected(case: dict[str, str]) -> None:
    with pytest.raises(NotEditable, match=case["why"]):
        config_file.written(case["text"], NAME, ENTRY)


def test_an_edit_that_would_say_something_else_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    spliced = config_file._spliced
    monkeypatch.setattr(config_file, "_spliced", lambda *given: spliced(*given).replace("x: 1", "x: 2"))
    with pytest.raises(NotEditable, match="more than this program's own keys"):
        config_file.written("app: {x: 1}\n", NAME, ENTRY)


def test_long_runs_of_tabs_are_read_in_no_time() -> None:
    """In time that grows with their square, these take minutes."""
    assert config_file.read("app: '" + "\t" * 200_000 + "x'\n", NAME) == config_file.Found()


def test_what_is_no_text_is_rejected() -> None:
    with pytest.raises(NotEditable, match="UTF-8"):
        config_file.decoded("a: ü".encode("latin-1"))
    with pytest.raises(NotEditable, match="bytes"):
        config_file.decoded(b"#" * (config_file.LARGEST + 1))


def test_an_entry_that_others_have_added_to_is_emptied_not_removed() -> None:
    text = config_file.written("app: 1\n", NAME, ENTRY)
    for addition in ("      # a word\n", "      displayName: M\n"):
        changed = text.replace("      tenant", f"{addition}      tenant")
        with pytest.raises(NotEditable, match="more in it"):
            config_file.removed(changed, NAME, "mail")
        assert addition in config_file.emptied(changed, NAME)


def test_the_last_entry_leaves_nothing_with_which_nocobase_would_not_start() -> None:
    # An interrupted run has written it, and what it made besides is not known any more.
    text = config_file.written("app: 1\n", NAME, ENTRY)
    for made in ("entry", "providers", "mail"):
        checked(config_file.removed(text, NAME, made).encode())


@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT.keys())
def test_what_an_interrupted_run_has_made_is_taken_back(text: str) -> None:
    after = config_file.written(text, NAME, ENTRY)
    back = config_file.removed(after, NAME, config_file.made_by_interrupted(after, NAME))
    assert back == text or meaning(back) == meaning(text)
    checked(back.removeprefix("\ufeff").replace("\t", " ").encode())


def test_what_nobody_was_interrupted_at_is_not_said_to_be_made_by_it() -> None:
    made = config_file.written("app: 1\n", NAME, ENTRY)
    assert config_file.made_by_interrupted(made, NAME) == "mail"
    by_hand = (
        made.replace("mail:", "mail: # ours"),
        made.replace("      tenant", "      displayName: M\n      tenant"),
        made.replace("type: microsoft", "type: 'microsoft'"),
        made.replace("type: microsoft", "type: gmail"),
        made.replace("      tenant: 'common'\n", ""),
    )
    assert [config_file.made_by_interrupted(text, NAME) for text in by_hand] == [""] * len(by_hand)


def test_a_fresh_order_is_none_of_those_that_were_used() -> None:
    scopes = ("a", "b", "c", "d")
    used: list[tuple[str, ...]] = [()]
    for _ in scopes:
        used.append(config_file.fresh_order(scopes, used[-1]))
        assert sorted(used[-1]) == sorted(scopes)
    assert len(set(used)) == 5
    for shown in used[1:]:
        assert config_file.fresh_order(scopes, used[-1], shown) not in (used[-1], shown)


words = st.text("abcXYZ019 _-ü事:#'\"", min_size=1, max_size=8)
plain_keys = st.text("abcdefgh", min_size=1, max_size=4)
comments = st.one_of(st.just(""), st.text("ab #\tü:-{}[]", max_size=10).map(lambda text: f" # {text}"))


@st.composite
def values(draw: st.DrawFn, indent: int, depth: int) -> str:
    """A value as somebody may write it, behind its key's colon."""
    kind = draw(st.sampled_from(["plain", "single", "double", "flow", "list", "block", "nested" if depth else "plain"]))
    text = draw(words)
    if kind == "plain":
        return f" {draw(plain_keys)}{draw(comments)}"
    if kind == "single":
        return " '" + text.replace("'", "''") + f"'{draw(comments)}"
    if kind == "double":
        return ' "' + text.replace('"', '\\"') + f'"{draw(comments)}'
    if kind == "flow":
        return f" {{x: [1,  2 ], y: {draw(plain_keys)}}}{draw(comments)}"
    deeper = " " * (indent + draw(st.integers(1, 5)))
    if kind == "list":
        return draw(comments) + "".join(
            f"\n{deeper}-  {draw(plain_keys)}{draw(comments)}" for _ in range(draw(st.integers(1, 3)))
        )
    if kind == "block":
        style = draw(st.sampled_from(["|", ">", "|-", ">-"]))
        return f" {style}\n{deeper}{draw(plain_keys)}\n{deeper}  # no comment\n{deeper}{draw(plain_keys)}"
    return draw(comments) + "\n" + draw(mappings(len(deeper), depth - 1)).rstrip("\n")


@st.composite
def mappings(draw: st.DrawFn, indent: int, depth: int, with_mail: bool = False) -> str:
    """A mapping in block style, with comments and empty lines between its pairs."""
    blanks, lines = " " * indent, []
    keys = draw(st.lists(plain_keys, min_size=1, max_size=4, unique=True))
    for key in keys:
        lines += draw(st.lists(st.sampled_from(["", f"{blanks}# x", f"{blanks}#\ttab"]), max_size=2))
        lines.append(f"{blanks}{key}:{draw(values(indent, depth))}")
    if with_mail:
        mail = draw(st.sampled_from(["", "mail:\n", "mail: {}", "mail:\n   a: 1 # c\n   providers:"]))
        inner = f"   a: 1\n   providers:{draw(comments)}\n" + draw(mappings(5, 1)) if mail == "mail:\n" else ""
        lines.insert(draw(st.integers(0, len(lines))), f"{mail}{inner}".rstrip("\n")) if mail else None
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("cases", [60, pytest.param(1_000, marks=pytest.mark.proof)])
def test_no_other_byte_changes_in_generated_configurations(cases: int, say: Say) -> None:
    changed = edited = 0

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mappings(0, 2, with_mail=True), st.booleans(), st.booleans())
    def check(text: str, crlf: bool, cut: bool) -> None:
        nonlocal changed, edited
        text = text.rstrip("\n") if cut else text
        text = text.replace("\n", "\r\n") if crlf else text
        try:
            first = config_file.written(text, NAME, ENTRY)
        except NotEditable:
            return
        edited += 1
        assert kept_bytes(text, first)
        assert meaning(first) == meaning(text)
        back = config_file.removed(first, NAME, config_file.made_by(text, NAME))
        changed += back != text
        assert back in (text, *nullified(text))

    check()
    say(f"configurations of NocoBase 3: {edited} of {cases} generated ones were edited, with 0 other bytes changed")
    assert edited > cases * 0.7


def nullified(text: str) -> list[str]:
    """`text` with an empty mapping where it had none: a NocoBase 3 does not start with the latter."""
    return [text.replace("providers:", "providers: {}"), text.replace("\nmail:", "\nmail: {}")]
