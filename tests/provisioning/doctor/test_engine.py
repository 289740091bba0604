"""The checks of the engine, its backend and its secrets."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import pytest

from provisioning.doctor import engine
from provisioning.doctor.engine import Passphrase, SecretsProvider
from provisioning.doctor.runner import Outcome

OPENS_WITH_SANDBOX = "v1:bP4DppVjixM=:v1:Wu+1j/WRL2YIwErm:rAn1A/gBcIYrmQYPnKBwQsDjzQWFzw=="
OPENS_WITH_NOTHING = "v1:+PEfLt9czH4=:v1:m9JCoECnYPb9wmUT:J5MyJEn6T82UL3lAPc4OyT1GSR70Kw=="
"""Both were made by the engine."""

FILE = "file:///home/x/state"
CLOUD = "https://api.pulumi.com"


DERIVED = functools.cache(hashlib.pbkdf2_hmac)


@pytest.fixture(autouse=True)
def each_key_is_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a third of a second, as it should."""
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", DERIVED)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("v3.255.0", "OK"),
        ("v3.300.1", "OK"),
        ("3.254.9\n", "warning"),
        ("v4.0.0", "failed"),
        ("v2.9.0", "failed"),
        ("what?", "warning"),
    ],
)
def test_versions(said: str, outcome: str) -> None:
    assert engine.check_engine(said).outcome == outcome


@pytest.mark.parametrize(
    ("versions", "environment", "outcome"),
    [
        (["6.9.0", "6.10.0"], {}, "OK"),
        (["6.9.0"], {}, "warning"),
        ([], {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false"}, "warning"),
        ([], {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}, "failed"),
    ],
)
def test_plugin(versions: list[str], environment: dict[str, str], outcome: str) -> None:
    plugins = [{"name": "azuread", "version": version} for version in versions] + [{"name": "random", "version": "1"}]
    found = engine.check_plugin(plugins, "6.10.0", environment)
    assert found.outcome == outcome
    assert outcome == "OK" or "install" in str(found.remedy)


@pytest.mark.parametrize(
    ("url", "environment", "only_here", "outcome"),
    [
        (CLOUD, {}, False, "OK"),
        (CLOUD, {"CI": "true"}, False, "OK"),
        ("azblob://state", {"CI": "true"}, False, "OK"),
        (FILE, {}, True, "OK"),
        (FILE, {}, False, "warning"),
        (FILE, {"CI": "true"}, False, "failed"),
        (FILE, {"CI": "true"}, True, "failed"),
        (FILE, {"CI": "false"}, True, "OK"),
        (FILE, {"TF_BUILD": "True"}, False, "failed"),
        (FILE, {"GITLAB_CI": "1"}, False, "failed"),
    ],
)
def test_backend(url: str, environment: dict[str, str], only_here: bool, outcome: str) -> None:
    found = engine.check_backend(url, "me", environment, only_here)
    assert found.outcome == outcome
    assert found.said.startswith(url)


def test_a_login_in_the_backends_address_is_not_shown() -> None:
    found = engine.check_backend("postgres://user:hidden@db.example.com/state", "me", {}, False)
    assert found.said == "postgres://db.example.com/state, as me"


@pytest.mark.parametrize(
    ("provider", "passphrase", "local", "only_here", "outcome", "said"),
    [
        (
            SecretsProvider("azurekeyvault://v.example/keys/k?x=1"),
            None,
            False,
            False,
            "OK",
            "azurekeyvault://v.example",
        ),
        (SecretsProvider(), None, False, False, "OK", "by the backend"),
        (SecretsProvider(), None, True, False, "OK", "nothing is encrypted yet"),
        (SecretsProvider("passphrase", OPENS_WITH_SANDBOX), "sandbox", True, False, "OK", "given and right"),
        (SecretsProvider(salt=OPENS_WITH_SANDBOX), "other", True, False, "failed", "not the one"),
        (SecretsProvider(salt=OPENS_WITH_SANDBOX), None, True, False, "warning", "not given"),
        (SecretsProvider(salt=OPENS_WITH_NOTHING), "", True, False, "failed", "empty"),
        (SecretsProvider(salt=OPENS_WITH_NOTHING), "other", True, False, "failed", "empty"),
        (SecretsProvider(salt=OPENS_WITH_NOTHING), "", True, True, "warning", "empty"),
        (SecretsProvider(salt="v1:torn"), "", True, False, "failed", "not the one"),
    ],
)
def test_secrets(
    provider: SecretsProvider, passphrase: str | None, local: bool, only_here: bool, outcome: str, said: str
) -> None:
    found = engine.check_secrets(provider, Passphrase(passphrase), local, only_here)
    assert found.outcome == outcome
    assert said in found.said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", SecretsProvider()),
        ("config:\n  a:b: c\nencryptionsalt: v1:x=:v1:y:z==\n", SecretsProvider(None, "v1:x=:v1:y:z==")),
        ("secretsprovider: 'awskms://alias/x?region=y'\n", SecretsProvider("awskms://alias/x?region=y")),
        ("config:\n  x:encryptionsalt: no\n", SecretsProvider()),
    ],
)
def test_stack_files(text: str, expected: SecretsProvider) -> None:
    assert engine.secrets_provider(text) == expected


def test_passphrases_are_taken_as_the_engine_takes_them(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from a file\n")
    named = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert engine.given_passphrase({}) == Passphrase(None)
    assert engine.given_passphrase({"PULUMI_CONFIG_PASSPHRASE": ""}) == Passphrase("")
    assert engine.given_passphrase(named) == Passphrase("from a file")
    both = engine.given_passphrase({**named, "PULUMI_CONFIG_PASSPHRASE": "x"})
    assert both == Passphrase("x", over_file=True)
    wrong = engine.check_secrets(SecretsProvider(None, OPENS_WITH_SANDBOX), both, True, True)
    assert wrong.remedy == "unset PULUMI_CONFIG_PASSPHRASE"
    assert engine.given_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")}) == Passphrase(None)
    assert "from a file" not in repr(engine.given_passphrase(named))


def test_without_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = engine.ask_engine()
    assert found.outcome is Outcome.FAILED
    assert "https://www.pulumi.com/docs/install/" in str(found.remedy)
    fake = tmp_path / "pulumi"
    fake.write_text("#!/bin/sh\necho v3.255.0\n")
    fake.chmod(0o755)
    assert engine.ask_engine().outcome is Outcome.OK


def test_a_backend_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "pulumi"
    fake.write_text("#!/bin/sh\necho 'error: no such folder' >&2\nexit 255\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = engine.ask_backend(only_here=False)
    assert found.outcome is Outcome.FAILED
    assert "`pulumi whoami --json` failed: error: no such folder" in found.said
    assert "Sign in to a backend" in str(found.remedy)
