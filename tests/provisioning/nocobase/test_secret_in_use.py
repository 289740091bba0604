"""When a secret that the state does not know is surely used by no NocoBase, and when that cannot be told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from provisioning.nocobase.installation import Installation
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase3.before_change import may_hold_unknown_secret
from tests.provisioning.nocobase.fake_nocobase import API_KEY, CALLBACK, FOUND, URL, FakeNocoBase, connect, microsoft

HERE = Installation("", URL, None, None, FOUND, (CALLBACK,))
HIDDEN = frozenset({"clientSecret"})
WRITTEN = str(microsoft()["updatedAt"])


@pytest.mark.parametrize(
    ("row", "hidden", "written_at", "said"),
    [
        ({}, frozenset(), "", None),
        ({"clientId": "theirs", "clientSecret": "x"}, frozenset(), "", None),
        ({"clientId": "own", "clientSecret": "known"}, frozenset(), "", None),
        ({"clientId": "own", "clientSecret": ""}, frozenset(), "", None),
        ({"clientId": "own", "clientSecret": "newer"}, frozenset(), WRITTEN, "holds a secret that this stack's state"),
        ({"clientId": "own", "clientSecret": "newer"}, HIDDEN, WRITTEN, None),
        ({"clientId": "own", "clientSecret": "newer"}, HIDDEN, "2026-12-30T00:00:00.000Z", "was changed since"),
        ({"clientId": "own", "clientSecret": "newer"}, HIDDEN, "", "was changed since"),
    ],
)
def test_what_a_nocobase_shows_decides(
    row: dict[str, Any], hidden: frozenset[str], written_at: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(FakeNocoBase([microsoft(**row)], hidden), monkeypatch)
    found = may_hold_unknown_secret([HERE], {"": NocoBaseLogin(API_KEY)}, "own", {"nocobase": written_at}, {"known"})
    assert len(found) == (said is not None)
    assert (said or "") in "".join(found)
    assert "newer" not in "".join(found)


@pytest.mark.parametrize(("written_at", "doubts"), [(WRITTEN, 0), ("2026-12-30T00:00:00.000Z", 1)])
def test_a_transformed_secret_counts_as_hidden(written_at: str, doubts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    row = microsoft(clientId="own", clientSecret="known")
    connect(FakeNocoBase([row], transform=str.upper), monkeypatch)
    asked = ([HERE], {"": NocoBaseLogin(API_KEY)}, "own", {"nocobase": written_at}, {"known"})
    assert len(may_hold_unknown_secret(*asked, transformed={"nocobase"})) == doubts


def test_one_that_cannot_be_asked_leaves_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    connect(down, monkeypatch)
    (doubt,) = may_hold_unknown_secret([HERE], {"": NocoBaseLogin(API_KEY)}, "own", {}, set())
    assert "cannot be asked" in doubt
