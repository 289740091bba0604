"""What the configuration holds of the logins to NocoBase; each reader says the same of what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config

from provisioning.cli import adopt, status_reading
from provisioning.doctor import nocobase as doctor
from provisioning.doctor.runner import answer
from provisioning.errors import SettingsError
from provisioning.fleet.deploy import Deployer
from provisioning.fleet.logins import Granted
from provisioning.nocobase.login import STORED, StoredLogins, stored_logins
from provisioning.nocobase.push_resource import MailSettingsProvider
from provisioning.program import settings, validation
from provisioning.pulumi_cli import Pulumi
from provisioning.status.read import Unread

URL = "https://nocobase.example.com"
UNREADABLE = {
    "nocobaseApiKeys": '{"sales": hush}',
    "nocobaseHeaders": '["hush"]',
    "nocobaseInstallationHeaders": '{"sales": "hush"}',
}


def test_everything_that_is_wrong_is_named_at_once_and_no_value_is_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        stored_logins(UNREADABLE)
    assert [problem.key for problem in caught.value.problems] == list(UNREADABLE)
    assert "hush" not in str(caught.value)


def test_nothing_configured_is_nothing() -> None:
    assert stored_logins(dict.fromkeys(STORED)) == stored_logins(dict.fromkeys(STORED, "")) == StoredLogins()


def in_program(config: dict[str, str]) -> object:
    return validation.load({"nocobaseUrl": URL, **config}, config)


def in_push(config: dict[str, str]) -> None:
    whole = {f"nocobase-outlook:{key}": value for key, value in config.items()}
    MailSettingsProvider().configure(ConfigureRequest(Config(whole, "nocobase-outlook")))


def in_doctor(config: dict[str, str]) -> object:
    found = answer(doctor.ask_login, config, settings.Settings(nocobaseUrl=URL))
    raise ProblemsToldByDoctor(found.said)


class ProblemsToldByDoctor(Exception):
    """Doctor makes an answer of each error."""


def in_adopt(config: dict[str, str]) -> object:
    return adopt._in_nocobase(settings.Settings(nocobaseUrl=URL), config)


@pytest.mark.parametrize("key", UNREADABLE)
@pytest.mark.parametrize("reader", [in_program, in_push, in_doctor, in_adopt])
def test_each_reader_names_the_setting(reader: Callable[[dict[str, str]], object], key: str) -> None:
    with pytest.raises((SettingsError, ProblemsToldByDoctor), match=key) as caught:
        reader({key: UNREADABLE[key]})
    assert "hush" not in str(caught.value)
    assert "broke" not in str(caught.value)
    assert str(caught.value).count(f"{key}\n") <= 1


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Any]:
    """An engine with that configuration."""
    for name in ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def with_configuration(config: dict[str, str]) -> Any:
        monkeypatch.setattr(Pulumi, "configuration", lambda _: (config, set()))
        return Pulumi("prod")

    return with_configuration


@pytest.mark.parametrize("key", UNREADABLE)
@pytest.mark.parametrize("many", [False, True])
def test_status_says_it_of_nocobase_alone(
    engine: Callable[[dict[str, str]], Any], monkeypatch: pytest.MonkeyPatch, key: str, many: bool
) -> None:
    state: Any = SimpleNamespace(stack="prod", pushes=[SimpleNamespace(logins=("",))])
    places = {"prod": {"": URL}, **({"test": {"": "https://test.example.com"}} if many else {})}
    found = status_reading._logins(engine({key: UNREADABLE[key]}), state, places, StoredLogins())
    assert isinstance(found[0], Unread)
    assert found[0].reason.startswith(f"{key}: ")
    assert "hush" not in found[0].reason
    monkeypatch.setenv("NOCOBASE_API_KEY", "of somebody")
    found = status_reading._logins(engine({key: UNREADABLE[key]}), state, places, StoredLogins())
    # Of many stacks, a key in the environment may be another NocoBase's.
    assert isinstance(found[0], Unread) is many


@pytest.mark.parametrize("key", UNREADABLE)
def test_up_leaves_it_to_the_program(
    engine: Callable[[dict[str, str]], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    engine({key: UNREADABLE[key]})
    monkeypatch.setenv("NOCOBASE_API_KEY", "of somebody")
    assert Deployer(tmp_path).logins_of(["prod"], 1) == {"prod": Granted()}
