"""Settings: defaults, sources and their precedence; see test_validation.py for what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from provisioning.entra.rules import Audience
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import API_KEY
from provisioning.program.settings import Consent, Settings, redirect_uri
from provisioning.program.validation import load, validate
from tests.provisioning.program.test_validation import OTHER, URL, environment, problems

__all__ = ["environment"]

PROJECT = Path(__file__).parents[3]


def test_defaults_are_those_of_nocobases_own_procedure() -> None:
    loaded = load({"nocobaseUrl": f"{URL}/"}).settings
    assert loaded.nocobase_url == URL
    assert loaded.audience is Audience.ANY_TENANT_AND_PERSONAL
    assert loaded.scopes == ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")
    assert loaded.redirect_uris == (f"{URL}/admin/settings/mail/oauth2",)
    assert loaded.secret_lifetime_days == 180
    assert loaded.consent is Consent.USER


def test_schema_in_pulumi_yaml_declares_the_same_settings_and_defaults() -> None:
    schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    declared = {key: entry["default"] for key, entry in schema.items()}
    assert declared.pop("nocobaseUrl") == ""
    assert declared.pop("nocobaseMapping") == {}
    assert declared.pop("nocobaseHeaders") == declared.pop("nocobaseInstallationHeaders") == {}
    others = [field for field in Settings.model_fields.values() if field.alias in declared]
    assert len(others) == len(Settings.model_fields) - 4
    fields = {field.alias: field.default for field in others}
    assert declared == {
        key: list(default) if isinstance(default, tuple) else ("" if default is None else default)
        for key, default in fields.items()
    }


def test_empty_values_from_the_schema_count_as_not_set() -> None:
    schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    values = {
        key: entry["default"] if isinstance(entry["default"], str) else json.dumps(entry["default"])
        for key, entry in schema.items()
    }
    assert load({**values, "nocobaseUrl": URL}).settings == load({"nocobaseUrl": URL}).settings


@pytest.mark.parametrize(
    ("url", "app", "expected"),
    [
        ("https://n.example.com", None, "https://n.example.com/admin/settings/mail/oauth2"),
        ("https://n.example.com/base", None, "https://n.example.com/base/admin/settings/mail/oauth2"),
        ("https://n.example.com", "sales", "https://n.example.com/apps/sales/admin/settings/mail/oauth2"),
        ("http://localhost:13000", None, "http://localhost:13000/admin/settings/mail/oauth2"),
    ],
)
def test_redirect_uri_is_derived(url: str, app: str | None, expected: str) -> None:
    assert redirect_uri(url, app) == expected


def test_every_installation_has_its_own_redirect_uri_mapping_and_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY_OTHER_PLACE", "other")
    further = [
        {"name": "other-place", "url": OTHER, "takeOver": "x", "mapping": {"collection": "mail"}},
        {"name": "sales", "url": URL, "app": "sales"},
    ]
    mapping = {"clientIdField": "options.clientId", "rowFilter": {"id": 3}}
    config = {"nocobaseInstallations": json.dumps(further), "nocobaseMapping": json.dumps(mapping)}
    settings, login, logins = load({"nocobaseUrl": URL, **config})
    main, other, sales = settings.installations
    assert settings.redirect_uris == (*main.redirect_uris, *other.redirect_uris, *sales.redirect_uris)
    assert other.redirect_uris == (f"{OTHER}/admin/settings/mail/oauth2",)
    assert [one.resource_name for one in settings.installations] == [
        "nocobase",
        "nocobase-other-place",
        "nocobase-sales",
    ]
    assert main.mapping == sales.mapping == NocoBaseMapping(client_id_field="options.clientId", row_filter={"id": 3})
    assert (other.mapping, other.take_over) == (NocoBaseMapping(collection="mail"), "x")
    # The same server has the same key; another one must never be sent it.
    assert {name: one.api_key for name, one in logins.items()} == {
        "": "key-from-environment",
        "other-place": "other",
        "sales": "key-from-environment",
    }
    assert login is logins[""]


def test_a_declared_redirect_uri_of_nobodys_serves_every_installation() -> None:
    further = json.dumps([{"name": "a", "url": URL, "app": "a"}])
    uris = [f"{URL}/admin/settings/mail/oauth2", f"{URL}/apps/a/admin/settings/mail/oauth2", f"{OTHER}/callback"]
    config = {"nocobaseUrl": URL, "nocobaseInstallations": further, "redirectUris": json.dumps(uris)}
    main, a = load(config).settings.installations
    assert (main.redirect_uris, a.redirect_uris) == ((uris[0], uris[2]), (uris[1], uris[2]))


def test_headers_of_a_gateway_go_with_the_login_to_its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTHER", "THIRD"):
        monkeypatch.setenv(f"NOCOBASE_API_KEY_{name}", name)
    further = [
        {"name": "other", "url": OTHER},
        {"name": "third", "url": "https://third.example.com"},
        {"name": "sales", "url": URL, "app": "sales"},
    ]
    own = {"other": {"X-Gate": "s3cr3t-other", "X-Stage": 1}, "sales": {"X-Sales": "s3cr3t-sales"}, "gone": {"X": "y"}}
    config = {
        "nocobaseInstallations": json.dumps(further),
        "nocobaseHeaders": '{"X-Gate": "s3cr3t-value"}',
        "nocobaseInstallationHeaders": json.dumps(own),
    }
    loaded = load({"nocobaseUrl": URL, **config})
    assert {name: dict(login.headers) for name, login in loaded.logins.items()} == {
        "": {"X-Gate": "s3cr3t-value"},
        "other": {"X-Gate": "s3cr3t-other", "X-Stage": "1"},
        "third": {},
        "sales": {"X-Gate": "s3cr3t-value", "X-Sales": "s3cr3t-sales"},
    }
    assert "s3cr3t" not in repr(loaded)


@pytest.mark.parametrize(
    ("variables", "config", "expected"),
    [
        ({"NOCOBASE_API_KEY": "env"}, None, "env"),
        ({"NOCOBASE_API_KEY": "env"}, "stack", "env"),
        ({}, "stack", "stack"),
        ({"NOCOBASE_API_KEY": ""}, "stack", "stack"),
    ],
)
def test_the_environment_wins_over_the_stacks_api_key(
    variables: dict[str, str], config: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOCOBASE_API_KEY")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    own = {API_KEY: config} if config else {}
    login = load({"nocobaseUrl": URL, **own}, set(own)).login
    assert login.api_key == expected


def test_account_and_password_are_a_login_only_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOCOBASE_API_KEY")
    monkeypatch.setenv("NOCOBASE_ACCOUNT", "admin")
    assert "NOCOBASE_API_KEY" in problems({"nocobaseUrl": URL})
    monkeypatch.setenv("NOCOBASE_PASSWORD", "hidden")
    assert load({"nocobaseUrl": URL}).login.account == "admin"


def test_no_secret_in_reprs_or_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCOBASE_PASSWORD", "hidden-password")
    loaded = load({"nocobaseUrl": URL})
    assert "key-from-environment" not in repr(loaded)
    assert "hidden-password" not in repr(loaded)
    assert "s3cret" not in str(problems({"nocobaseUrl": "https://admin:s3cret@n.example.com"}))


def test_the_environment_never_sets_anything_but_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOCOBASE_URL", "AUDIENCE", "audience", "nocobaseUrl", "SCOPES"):
        monkeypatch.setenv(name, "https://elsewhere.example.com")
    assert load({"nocobaseUrl": URL}).settings.nocobase_url == URL


@pytest.mark.parametrize("name", ["Pulumi.yaml", "bootstrap/Pulumi.yaml"])
def test_the_engine_checks_no_types_before_the_program(name: str) -> None:
    declared = yaml.safe_load((PROJECT / name).read_text())["config"]
    assert [key for key, entry in declared.items() if set(entry) != {"description", "default"}] == []


@pytest.mark.parametrize("project", ["Pulumi.yaml", "bootstrap/Pulumi.yaml", "sandbox/bench/bare/Pulumi.yaml"])
def test_every_run_begins_with_a_refresh(project: str) -> None:
    assert yaml.safe_load((PROJECT / project).read_text())["options"] == {"refresh": "always"}


@pytest.mark.parametrize("value", ["", "[]", '["api", "web.homepageUrl"]', "nonsense"])
def test_the_setting_of_earlier_versions_is_accepted_whatever_it_says(value: str) -> None:
    assert validate({"nocobaseUrl": URL, "keep": value}) == validate({"nocobaseUrl": URL})


def test_text_of_which_pulumi_made_a_number_or_a_truth_value_is_text_again() -> None:
    further = json.dumps([{"name": 2027, "url": OTHER, "app": 7}])
    config = {"nocobaseUrl": URL, "tags": "[4711, true, 0, -5, false]", "nocobaseInstallations": further}
    loaded = validate(config)[0]
    assert loaded is not None
    assert loaded.tags == ("4711", "true", "0", "-5", "false")
    assert [(at.name, at.app) for at in loaded.nocobase_installations] == [("2027", "7")]
    assert "It must be text." in problems({"nocobaseUrl": URL, "tags": '[{"a": 1}]'})["tags[0]"]
    assert "not a delegated mail permission" in problems({"nocobaseUrl": URL, "scopes": "[1]"})["scopes[0]"]


def test_permissions_are_the_scopes_and_then_the_further_ones() -> None:
    further = "00000002-0000-0ff1-ce00-000000000000/dc890d15-9560-4a4c-9b7f-a736ec74ec40=Role"
    loaded = load({"nocobaseUrl": URL, "scopes": '["email"]', "furtherPermissions": f'["{further}"]'}).settings
    assert str(loaded.permissions[0]) == "email"
    assert [permission.kind for permission in loaded.permissions] == ["Scope", "Role"]


def test_addresses_have_one_spelling_wherever_they_are_set() -> None:
    further = json.dumps([{"name": "sales", "url": "HTTPS://nocobase.example.com:443", "app": "sales"}])
    loaded, _, logins = load(
        {
            "nocobaseUrl": " https://NocoBase.example.com:443/ ",
            "nocobaseInstallations": further,
            "redirectUris": '["https://N.example.com/Call", "https://n.example.com:443/Call"]',
        }
    )
    assert (loaded.nocobase_url, loaded.nocobase_installations[0].url) == (URL, URL)
    assert loaded.redirect_uris == ("https://n.example.com/Call",)
    assert logins["sales"].api_key == "key-from-environment"
