"""What is judged about a stack's settings; a missing login is for another check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.doctor import nocobase
from provisioning.doctor.stack import Stack, ask_stack, judge_settings
from provisioning.program.settings import Settings
from provisioning.pulumi_cli import Pulumi
from tests.provisioning.fake_pulumi import fake_pulumi

URL = "https://nocobase.example.com"
SALES = json.dumps([{"name": "sales", "url": "https://sales.example.com"}])
SECRET = frozenset({"nocobaseApiKey", "nocobaseApiKeys"})


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has none."""
    for name in ("API_KEY", "ACCOUNT", "PASSWORD", "API_KEY_SALES", "ACCOUNT_SALES", "PASSWORD_SALES"):
        monkeypatch.delenv(f"NOCOBASE_{name}", raising=False)


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ({}, ["NOCOBASE_API_KEY", "NOCOBASE_API_KEY_SALES"]),
        ({"nocobaseApiKeys": '{"sales": "key"}'}, ["NOCOBASE_API_KEY"]),
        ({"nocobaseApiKey": "key"}, ["NOCOBASE_API_KEY_SALES"]),
    ],
)
def test_a_missing_login_is_told_by_its_own_check(keys: dict[str, str], missing: list[str]) -> None:
    values = {"nocobaseUrl": URL, "nocobaseInstallations": SALES, **keys}
    found = judge_settings(Stack("prod", values, SECRET))
    assert found.outcome == "OK"
    assert isinstance(found.value, Settings)
    told = nocobase.ask_login(values, found.value)
    assert told.outcome == "failed"
    assert [part.split("=")[0].removeprefix("export ") for part in str(told.remedy).split("; ")] == missing


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nocobaseUrl": URL, "nocobaseApiKeys": '{"sales": "key"}', "audience": "all"}, "audience: "),
        ({"nocobaseUrl": URL, "nocobaseApiKeys": "[]"}, "nocobaseApiKeys: It is not an object of keys by name."),
        ({"nocobaseUrl": URL, "NOCOBASE_API_KEY": "key"}, "NOCOBASE_API_KEY: There is no such setting."),
    ],
)
def test_other_problems_are_told_here_and_once(values: dict[str, str], said: str) -> None:
    found = judge_settings(Stack("prod", values, SECRET))
    assert (found.outcome, found.said.count(said)) == ("failed", 1)


def test_a_key_in_plain_text_is_told() -> None:
    found = judge_settings(Stack("prod", {"nocobaseUrl": URL, "nocobaseApiKeys": '{"sales": "key"}'}))
    assert (found.outcome, "must be encrypted" in found.said) == ("failed", True)


def test_a_stack_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", fake_pulumi(tmp_path, {"prod": ""}).environment["PATH"])
    assert ask_stack(Pulumi("prod")).outcome == "OK"
    found = ask_stack(Pulumi("nowhere"))
    assert (found.outcome, "no stack named 'nowhere'" in found.said) == ("failed", True)
    assert "pulumi stack init" in str(found.remedy)
