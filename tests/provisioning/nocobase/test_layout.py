"""A table of layouts: where the credentials are found, what is refused, and that a push changes nothing else."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioning import errors
from provisioning.nocobase import push
from provisioning.nocobase.layout import Ask, Layout, NocoBaseMapping, Seen, autodetect
from provisioning.nocobase.push import Credentials
from provisioning.nocobase.row import merged, opened, other_changes, parse_path, places, value_at
from tests.provisioning.nocobase.fake_nocobase import CALLBACK, URL, FakeNocoBase, connect

LAYOUTS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "layouts.yaml").read_text())
FOUND = {name: layout for name, layout in LAYOUTS.items() if "found" in layout}
REFUSED = {name: layout for name, layout in LAYOUTS.items() if "refused" in layout}
NEW = Credentials("new-id", "new~secret")


def search(layout: dict[str, Any]) -> Layout:
    """What is autodetected when every question is answered."""
    exists: dict[str, bool] = {}
    mapping = NocoBaseMapping(**layout.get("mapping", {}))
    while isinstance(found := autodetect(Seen(URL, layout["rows"], exists), mapping, certain=True), Ask):
        shown = {field for row in layout["rows"] for field in row}
        exists |= {name: name in {*shown, *layout.get("hidden", ())} for name in found.names}
    return found


@pytest.mark.parametrize("name", FOUND)
def test_the_credentials_are_found(name: str) -> None:
    client_id, secret, *rest = FOUND[name]["found"].split(", ")
    found = search(FOUND[name])
    assert (found.client_id, found.client_secret) == (parse_path(client_id), parse_path(secret))
    assert found.hidden is ("hidden secret" in rest)
    assert (found.row is None) is ("no row" in rest)
    assert found.why


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_refused_with_the_settings_that_decide(name: str) -> None:
    with pytest.raises(errors.UnknownLayout) as caught:
        search(REFUSED[name])
    assert REFUSED[name]["refused"] in str(caught.value)
    assert URL in caught.value.what
    for key in ("collection", "rowFilter", "clientIdField", "clientSecretField", "verifyAction"):
        assert key in caught.value.remedy


@pytest.mark.parametrize("name", FOUND)
def test_a_push_changes_the_two_values_and_nothing_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = FOUND[name]
    server = server_of(layout)
    before = copy.deepcopy(server.rows)
    found = search(layout)
    mapping = NocoBaseMapping(**layout.get("mapping", {}))
    with connect(server, monkeypatch) as nocobase:
        read = push.read(nocobase, mapping)
        push.write_and_verify(nocobase, mapping, NEW, [CALLBACK], read)
    mine = server.rows[-1] if found.row is None else server.row(found.row["id"])
    assert value_at(mine, found.client_id) == NEW.client_id
    assert value_at(mine, found.client_secret) == NEW.client_secret
    # Byte by byte: what was there before, with the two values put back.
    originals = {path: value_at(found.row, path) for path in (found.client_id, found.client_secret)}
    for old in before:
        now = next(row for row in server.rows if row["id"] == old["id"])
        if now is mine:
            now = put_back(now, old, originals)
        assert json.dumps(now) == json.dumps(old)


def put_back(now: dict[str, Any], old: dict[str, Any], originals: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """The row with the former credentials; what was not there before is taken away again."""
    restored = {**now, **merged(now, originals)}
    for top in {path[0] for path in originals}:
        inside = opened(old.get(top))
        if isinstance(opened(restored[top]), dict) and not isinstance(inside, dict):
            assert set(opened(restored[top])) == {path[-1] for path in originals}
            restored[top] = old.get(top)
        elif isinstance(inside, dict) and isinstance(restored[top], dict):
            for path in originals:
                if path not in [(top, *place) for place in places(inside)]:
                    del restored[top][path[-1]]
    return restored


def server_of(layout: dict[str, Any]) -> FakeNocoBase:
    """A NocoBase with this layout, that hides what it hides."""
    hidden = frozenset(layout.get("hidden", ()))
    rows = [{**copy.deepcopy(row), **{name: None for name in hidden if name not in row}} for row in layout["rows"]]
    client_id = layout["found"].split(", ")[0]
    # A row that is made has to be shown, but for the secret; where there is no row yet, all of it is unknown.
    shown_later = {*NocoBaseMapping(**layout.get("mapping", {})).of_microsoft, client_id}
    return FakeNocoBase(rows, hidden - shown_later, client_id, always=frozenset({*hidden, client_id}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), JSON, max_size=5), st.booleans())
def test_whatever_else_a_json_field_holds_is_kept(content: dict[str, Any], as_text: bool) -> None:
    content = {**content, "clientId": "old", "clientSecret": "old"}
    field = json.dumps(content, separators=(",", ":"), ensure_ascii=False) if as_text else content
    row = {"id": 1, "options": field}
    values: dict[tuple[str, ...], str] = {("options", "clientId"): "new", ("options", "clientSecret"): "newer"}
    written = merged(row, values)["options"]
    expected = {**content, "clientId": "new", "clientSecret": "newer"}
    if as_text:
        assert written == json.dumps(expected, separators=(",", ":"), ensure_ascii=False)
    else:
        assert list(written.items()) == list(expected.items())
    assert other_changes(row, {**row, "options": written}, values) == []
    if content.get("x") != "changed":
        changed = json.dumps({**expected, "x": "changed"}) if as_text else {**expected, "x": "changed"}
        assert other_changes(row, {**row, "options": changed}, values) != []


@given(st.lists(st.dictionaries(st.sampled_from(["id", "type", "clientId", "client_id", "options", "x"]), JSON)))
def test_any_rows_are_understood_asked_about_or_refused(rows: list[dict[str, Any]]) -> None:
    try:
        found: object = autodetect(Seen(URL, rows), NocoBaseMapping())
    except errors.UnknownLayout as error:
        found = error
    assert isinstance(found, Layout | Ask | errors.UnknownLayout)
