"""What `init` takes for an answer."""

from __future__ import annotations

import pytest

from provisioning.entra.rules import Audience, why_invalid_audience
from provisioning.init import questions
from provisioning.init.questions import State
from provisioning.program.settings import Settings

ID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@pytest.mark.parametrize(
    ("stack", "exists", "answers", "flags"),
    [
        (None, False, {}, ["--stack", "--tenant", "--nocobase-url"]),
        ("prod", False, {"tenantId": ID}, ["--nocobase-url"]),
        ("prod", False, {"tenantId": ID, "nocobaseUrl": "https://n.example.com"}, []),
        ("prod", True, {}, []),
        (None, True, {}, ["--stack"]),
    ],
)
def test_all_missing_flags_are_named(
    stack: str | None, exists: bool, answers: dict[str, str], flags: list[str]
) -> None:
    assert questions.missing(stack, exists, answers) == flags


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("prod", True),
        ("acme/prod", True),
        ("a b", False),
        ("", False),
        ("prod;rm", False),
        ("dev", False),
        ("acme/dev", False),
    ],
)
def test_names_of_stacks(name: str, taken: bool) -> None:
    assert (questions.why_invalid_stack(name) is None) is taken


@pytest.mark.parametrize(
    ("tenant", "taken"),
    [
        (ID, True),
        ("example.onmicrosoft.com", True),
        ("common", False),
        ("consumers", False),
        ("", False),
        ("x y", False),
    ],
)
def test_tenants(tenant: str, taken: bool) -> None:
    assert (questions.why_invalid_tenant(tenant) is None) is taken


@pytest.mark.parametrize(
    ("answer", "url", "kind", "provider"),
    [
        ("cloud", "https://api.pulumi.com", State.CLOUD, "default"),
        ("local", "file://~", State.LOCAL, "passphrase"),
        ("azblob://state?storage_account=a", "azblob://state?storage_account=a", State.AZURE, None),
        ("s3://state?region=eu-central-1", "s3://state?region=eu-central-1", State.S3, "passphrase"),
        ("file:///srv/state", "file:///srv/state", State.LOCAL, "passphrase"),
    ],
)
def test_states_and_what_usually_encrypts_their_secrets(
    answer: str, url: str, kind: State, provider: str | None
) -> None:
    assert questions.state_url(answer) == url
    assert questions.kind_of_state(url) is kind
    assert questions.usual_secrets_provider(url) == provider


@pytest.mark.parametrize("answer", ["", "azure", "s3", "ftp://x", "s3://", "/srv/state"])
def test_what_is_no_state(answer: str) -> None:
    assert questions.state_url(answer) is None


@pytest.mark.parametrize(
    ("provider", "environment", "taken"),
    [
        ("default", {}, True),
        ("passphrase", {}, False),
        ("passphrase", {"PULUMI_CONFIG_PASSPHRASE": ""}, False),
        ("passphrase", {"PULUMI_CONFIG_PASSPHRASE": "x"}, True),
        ("passphrase", {"PULUMI_CONFIG_PASSPHRASE_FILE": "/x"}, True),
        ("azurekeyvault://v.vault.azure.net/keys/k", {}, True),
        ("azurekeyvault", {}, False),
        ("a passphrase of my own", {}, False),
    ],
)
def test_secrets_providers(provider: str, environment: dict[str, str], taken: bool) -> None:
    assert (questions.why_invalid_secrets_provider(provider, environment) is None) is taken


@pytest.mark.parametrize(
    ("config", "key", "refused"),
    [
        ({"nocobaseUrl": "nocobase.example.com"}, "nocobaseUrl", True),
        ({"nocobaseUrl": "https://n.example.com/admin"}, "nocobaseUrl", True),
        ({"nocobaseUrl": " https://N.example.com:443 "}, "nocobaseUrl", False),
        # What comes later is asked later.
        ({"nocobaseUrl": "https://n.example.com", "audience": "nobody"}, "nocobaseUrl", False),
        ({"secretLifetimeDays": "60"}, "secretLifetimeDays", False),
        ({"secretLifetimeDays": "731"}, "secretLifetimeDays", True),
        # No rotation goes with it.
        ({"secretLifetimeDays": "15"}, "secretLifetimeDays", True),
        ({"secretLifetimeDays": "16"}, "secretLifetimeDays", False),
        ({"secretLifetimeDays": "15", "retireAfterDays": "3"}, "secretLifetimeDays", False),
        ({"secretLifetimeDays": "60", "rotateEveryDays": "55"}, "rotateEveryDays", True),
        ({"secretLifetimeDays": "60", "rotateEveryDays": "30"}, "rotateEveryDays", False),
    ],
)
def test_each_answer_is_judged_when_it_is_given(config: dict[str, str], key: str, refused: bool) -> None:
    assert (
        questions.why_invalid_setting({"nocobaseUrl": "https://n.example.com", **config}, key) is not None
    ) is refused


@pytest.mark.parametrize("lifetime", range(9, 731, 7))
def test_the_rotation_that_is_proposed_goes_with_the_lifetime(lifetime: int) -> None:
    every = questions.usual_rotation(str(lifetime))
    config = {
        "nocobaseUrl": "https://n.example.com",
        "secretLifetimeDays": str(lifetime),
        "rotateEveryDays": str(every),
    }
    if lifetime > 2 * (Settings.model_fields["retire_after_days"].default + 1):
        assert questions.why_invalid_setting(config, "rotateEveryDays") is None


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("nocobase.example.com", "https://nocobase.example.com"),
        ("nocobase.example.com:8443/crm", "https://nocobase.example.com:8443/crm"),
        ("localhost:13000", "http://localhost:13000"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("http://10.0.0.1", "http://10.0.0.1"),
        ("", ""),
    ],
)
def test_the_scheme_of_an_address_is_completed(typed: str, whole: str) -> None:
    assert questions.completed_address(typed) == whole


def test_a_choice_is_named_by_its_number_or_in_any_capitals() -> None:
    (audience,) = (prompt for prompt in questions.PROMPTS if prompt.key == "audience")
    assert set(audience.choices) == {one for one in Audience if why_invalid_audience(one) is None}
    assert audience.chosen("2") == audience.chosen("azureadmultipleorgs") == "AzureADMultipleOrgs"
    assert audience.chosen("4") == "4"
    assert questions.STATE.chosen("Cloud") == "cloud"
    assert questions.STATE.chosen("1") == "1"


def test_the_name_that_is_proposed_says_the_environment() -> None:
    assert questions.usual_name("acme/mail/test") == "NocoBase mail (test)"


def test_defaults_and_lists_are_shown_as_a_person_writes_them() -> None:
    assert questions.default("scopes") == "email, offline_access, IMAP.AccessAsUser.All, SMTP.Send, User.Read"
    assert questions.default("scopes", "/srv/config.yml").endswith("User.Read, Mail.ReadWrite, Mail.Send")
    assert questions.default("secretLifetimeDays") == "180"
    assert questions.default("nocobaseApp") == questions.default("nocobaseUrl") == ""
    assert questions.as_line('["email", "SMTP.Send"]') == "email, SMTP.Send"
    assert questions.as_items(" email,SMTP.Send ,") == ["email", "SMTP.Send"]
