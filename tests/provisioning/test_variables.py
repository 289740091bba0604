"""Which variables count as not set."""

from __future__ import annotations

import os

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from provisioning import cli
from provisioning.nocobase.login import load_login
from provisioning.nocobase.push_resource import MailSettingsProvider
from provisioning.variables import forget_unresolved


@pytest.mark.parametrize("value", ["$(NOCOBASE_API_KEY)", "$(nocobase.apiKey)", "$(group-key_1)"])
def test_a_reference_that_azure_devops_left_as_it_is_counts_as_not_set(value: str) -> None:
    environment = {"NOCOBASE_API_KEY": value, "OTHER": "1"}
    assert forget_unresolved(environment) == ["NOCOBASE_API_KEY"]
    assert environment == {"OTHER": "1"}


@pytest.mark.parametrize("value", ["", "key", "$NAME", "${NAME}", "$()", "a$(NAME)", "$(date +%s)", "$(a)$(b)"])
def test_any_other_value_stays(value: str) -> None:
    environment = {"NOCOBASE_API_KEY": value}
    assert forget_unresolved(environment) == []
    assert environment == {"NOCOBASE_API_KEY": value}


def test_the_stacks_key_is_not_shadowed_in_the_process_of_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "$(NOCOBASE_API_KEY)")
    MailSettingsProvider().configure(ConfigureRequest(Config({}, "p")))
    login = load_login("of the stack")
    assert login is not None
    assert login.api_key == "of the stack"


def test_the_commands_forget_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "$(NOCOBASE_API_KEY)")
    monkeypatch.setattr(cli, "app", lambda **_: None)
    cli.main()
    assert "NOCOBASE_API_KEY" not in os.environ
