"""What is wrong with a stack's settings: everything at once, in words, with a remedy, and without a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra.rules import Audience
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.errors import Problem, SettingsError
from provisioning.nocobase.login import API_KEY
from provisioning.program.settings import Settings
from provisioning.program.validation import load, validate

URL = "https://nocobase.example.com"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOCOBASE_API_KEY", "key-from-environment")


def problems(config: dict[str, str], secret_keys: tuple[str, ...] = ()) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(config, secret_keys)
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_everything_wrong_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOCOBASE_API_KEY")
    found = problems(
        {
            "nocobaseUrl": "http://nocobase.example.com",
            "audience": "Everybody",
            "applicationName": "n" * 91,
            "scopes": '["IMAP.AccesAsUser.All", "email"]',
            "redirectUris": '["https://n.example.com/callback?x=1"]',
            "owners": '["me"]',
            "secretLifetimeDays": "731",
            "consent": "everybody",
            "secretLifetimeDay": "90",
        }
    )
    assert list(found) == [
        "nocobaseUrl",
        "audience",
        "applicationName",
        "scopes[0]",
        "redirectUris",
        "owners[0]",
        "secretLifetimeDays",
        "consent",
        "secretLifetimeDay",
        "NOCOBASE_API_KEY",
    ]
    assert "IMAP.AccessAsUser.All" in found["scopes[0]"]
    assert "remove it: pulumi config rm --path 'scopes[0]'" in found["scopes[0]"]
    assert "Set it to one of: AzureADMyOrg, AzureADMultipleOrgs," in found["audience"]
    assert "Did you mean secretLifetimeDays?" in found["secretLifetimeDay"]
    assert "Set it to one of: user, tenant." in found["consent"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("nocobaseUrl", "", "not set"),
        ("nocobaseUrl", "nocobase.example.com", "address"),
        ("nocobaseUrl", "http://10.0.0.1", "https"),
        ("nocobaseUrl", "https://n.example.com/?a=b", "query"),
        ("nocobaseUrl", f"{URL}/admin", f"That is {URL}."),
        ("nocobaseUrl", f"{URL}:99999", "1 to 65535"),
        ("nocobaseApp", "a/b", "letters"),
        ("nocobaseMapping", "clientId", "It must be an object"),
        ("nocobaseConfigFile", "config.yml", "an absolute path"),
        ("nocobaseMailProvider", "1 x", "begins with a letter"),
        ("nocobaseRestart", "systemctl restart nocobase", "list"),
        ("nocobaseInstallations", "{}", "list"),
        ("applicationName", "   ", "empty"),
        ("applicationName", "n" * 91, "at most 90"),
        ("scopes", '["email","email"]', "more than once: email"),
        ("scopes", "email", "list"),
        ("redirectUris", '["http://n.example.com/x"]', "https"),
        ("redirectUris", '["https://n.example.com/*"]', "wildcard"),
        ("redirectUris", '["http://[::1]:13000/x"]', "127.0.0.1"),
        ("redirectUris", '["https://n.example.com/(x);y"]', "not allowed: ( ) ;"),
        ("redirectUris", '["https://n.example.com/#x"]', "fragment"),
        ("redirectUris", json.dumps(["https://n.example.com/" + "x" * 256]), "256"),
        ("redirectUris", '["https://n.example.com"]', "a path or at least a slash"),
        ("redirectUris", '["https://n.example.com:0/x"]', "1 to 65535"),
        ("redirectUris", json.dumps([f"https://n.example.com/{number}" for number in range(101)]), "allows 100"),
        ("secretDescription", " ", "empty"),
        ("secretLifetimeDays", "0", "1 to 730"),
        ("secretLifetimeDays", "731", "1 to 730"),
        ("secretLifetimeDays", "soon", "It must be a whole number."),
        ("secretLifetimeDays", "[1]", "It must be a whole number."),
        ("nocobasePatienceSeconds", "3601", "It must be 3600 or less."),
        ("applicationName", '["NocoBase mail"]', "It must be text."),
        ("nocobaseTakeOver", '{"id": 1}', "It must be text."),
        ("rotateRequestedAt", "now", "It must be a time with its time zone, like 2027-01-31T12:00:00Z."),
        ("rotateRequestedAt", "2027-01-31T12:00:00", "It must be a time with its time zone"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule_and_its_remedy(key: str, value: str, words: str) -> None:
    found = problems({"nocobaseUrl": URL, key: value})
    (text,) = found.values()
    assert words in text
    remedies = ("set {key} <value>", "set --path '{key}[<number>]' <value>", "rm {key}")
    assert any(f"pulumi config {remedy.format(key=key)}" in text for remedy in remedies)


@pytest.mark.parametrize(
    ("key", "value", "named", "words"),
    [
        ("nocobaseMapping", {"clientIdFeld": "x"}, "nocobaseMapping.clientIdFeld", "no such setting"),
        ("nocobaseMapping", {"clientIdField": "a b"}, "nocobaseMapping.clientIdField", "may contain only letters"),
        (
            "nocobaseMapping",
            {"rowFilter": {"id": []}},
            "nocobaseMapping.rowFilter.id",
            "text, a whole number, true or false",
        ),
        ("nocobaseInstallations", [{"name": "a"}], "nocobaseInstallations[0].url", "not set"),
        ("nocobaseInstallations", [{"name": "A b", "url": URL}], "nocobaseInstallations[0].name", "lower-case letters"),
        (
            "nocobaseInstallations",
            [{"name": "a", "url": "http://x.example.com"}],
            "nocobaseInstallations[0].url",
            "https",
        ),
        ("nocobaseInstallations", [{"name": "a", "url": URL}], "nocobaseInstallations", f"more than once: {URL}"),
        (
            "nocobaseInstallations",
            [{"name": "a", "url": f"{URL}/a", "app": "a", "configFile": "/srv/config.yml"}],
            "nocobaseInstallations[0]",
            "no sub-applications",
        ),
        (
            "nocobaseInstallations",
            [{"name": "a", "url": URL, "app": "a"}, {"name": "a", "url": URL, "app": "b"}],
            "nocobaseInstallations",
            "more than once: a",
        ),
    ],
)
def test_what_is_wrong_inside_an_object_is_named_by_its_path(key: str, value: object, named: str, words: str) -> None:
    found = problems({"nocobaseUrl": URL, key: json.dumps(value)})
    assert words in found[named]
    assert "pulumi config" in found[named]


OTHER = "https://other.example.com"


def test_each_missing_login_is_named() -> None:
    further = json.dumps([{"name": "other-place", "url": OTHER}])
    found = problems({"nocobaseUrl": URL, "nocobaseInstallations": further})
    assert list(found) == ["NOCOBASE_API_KEY_OTHER_PLACE"]
    assert "--path --secret nocobaseApiKeys.other-place" in found["NOCOBASE_API_KEY_OTHER_PLACE"]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ('"s3cr3t-value"', "not an object"),
        ('{"Authorization": "s3cr3t-value"}', "set by this program itself"),
        ('{"X App": "s3cr3t-value"}', "may contain only letters"),
        ('{"X-Gate": "s3cr3t-value\\n"}', "a character that no header has"),
        ('{"X-Gate": ""}', "is empty"),
    ],
)
def test_headers_of_a_gateway_that_are_not_allowed_are_not_repeated(headers: str, words: str) -> None:
    for key, value in (("nocobaseHeaders", headers), ("nocobaseInstallationHeaders", f'{{"sales": {headers}}}')):
        found = problems({"nocobaseUrl": URL, key: value})
        assert words in found[key]
        assert "s3cr3t" not in str(found)
    assert "by the installation's name" in problems({"nocobaseUrl": URL, key: "[]"})[key]


def test_the_keys_of_further_installations_must_be_encrypted() -> None:
    further = json.dumps([{"name": "other", "url": OTHER}])
    config = {"nocobaseUrl": URL, "nocobaseInstallations": further, "nocobaseApiKeys": '{"other":"stored"}'}
    assert load(config, {"nocobaseApiKeys"}).logins["other"].api_key == "stored"
    text = problems(config)["nocobaseApiKeys"]
    assert "plain text" in text
    assert "stored" not in text.replace("It is stored", "")
    assert (
        "not an object of keys"
        in problems({**config, "nocobaseApiKeys": '"x"'}, ("nocobaseApiKeys",))["nocobaseApiKeys"]
    )


def test_an_audience_whose_secret_cannot_be_verified_is_rejected() -> None:
    found = problems({"nocobaseUrl": URL, "audience": "PersonalMicrosoftAccount"})
    assert list(found) == ["audience"]
    assert "does not say whether a client secret of such an application works" in found["audience"]
    assert found["audience"].endswith(f"Set it to one of: {', '.join(list(Audience)[:3])}.")


def test_rules_depend_on_the_audience() -> None:
    config = {"nocobaseUrl": URL, "applicationName": "n" * 120, "redirectUris": '["https://n.example.com/?a=b"]'}
    assert set(problems(config)) == {"applicationName", "redirectUris"}
    assert load({**config, "audience": "AzureADMyOrg"}).settings.application_name == "n" * 120


def test_an_api_key_in_plain_configuration_is_refused_and_not_repeated() -> None:
    found = problems({"nocobaseUrl": URL, API_KEY: "plain-key"})
    assert "--secret" in found[API_KEY]
    assert "plain-key" not in str(found)


def test_a_command_that_is_stored_encrypted_is_rejected_and_not_repeated() -> None:
    """Its arguments are shown when it runs, and recorded with the push."""
    found = problems({"nocobaseUrl": URL, "nocobaseRestart": '["restart", "--token=hidden"]'}, ("nocobaseRestart",))
    assert "without --secret" in found["nocobaseRestart"]
    assert "hidden" not in str(found)


KEYS = [field.alias or "" for field in Settings.model_fields.values()]

OF_PYDANTIC = (
    "Input ",
    "valid ",
    "dictionary",
    "string",
    "integer",
    "boolean",
    "tuple",
    "parse",
    "instance",
    "pattern",
)
"""How pydantic's own sentences can be told."""

WRONG = [
    "x y",
    "1.5",
    "true",
    "null",
    "[]",
    "[null, 1.5, {}, []]",
    '{"a": {"b": []}}',
    '[{"name": [], "url": {}, "app": [1]}]',
    '{"collection": "a b", "rowFilter": {"id": {}}, "clientIdField": 1, "verifyAction": []}',
]


@pytest.mark.parametrize("key", KEYS)
def test_every_wrong_value_is_told_in_our_words(key: str) -> None:
    found = [problem for value in WRONG for problem in validate({"nocobaseUrl": URL, key: value})[1]]
    assert found != [] or key in ("applicationName", "secretDescription", "nocobaseTakeOver", "tags")
    assert [problem for problem in found if any(word in problem.why for word in OF_PYDANTIC)] == []
    assert [problem for problem in found if "not allowed." in problem.why] == []


def test_a_value_is_shown_unless_it_may_hold_a_secret() -> None:
    (owner,) = validate({"nocobaseUrl": URL, "owners": '["me@example.com"]'})[1]
    assert owner.value == '"me@example.com"'
    config = {"nocobaseUrl": URL, "applicationName": "s3cr3t" * 20, "scopes": '["s3cr3t", "s3cr3t"]'}
    assert "s3cr3t" in str(validate(config)[1])
    assert "s3cr3t" not in str(validate(config, {"applicationName", "scopes"})[1])
    assert "s3cr3t" not in str(validate({"nocobaseUrl": URL, "tags": '["https://me:s3cr3t@example.com/ x"]'})[1])


def test_the_nearest_of_the_allowed_values_is_named() -> None:
    (found,) = validate({"nocobaseUrl": URL, "audience": "azureadmultipleorg"})[1]
    assert found.why == "It is none of the allowed values. Nearest: AzureADMultipleOrgs."
    (found,) = validate({"nocobaseUrl": URL, "audience": "PersonalMicrosoftAccounts"})[1]
    assert "Nearest: PersonalMicrosoftAccount" not in found.why


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(min_size=1), st.text() | st.integers().map(str)))
def test_any_configuration_loads_or_names_its_problems(config: dict[str, str]) -> None:
    try:
        found: Sequence[Problem] = [Problem("none", None, "loaded", load(config).settings.redirect_uris[0])]
    except SettingsError as error:
        found = error.problems
    assert found
    assert all(problem.why and problem.remedy for problem in found)


def test_a_default_that_does_not_go_with_what_is_set_is_told_by_its_key() -> None:
    found = problems({"nocobaseUrl": URL, "secretLifetimeDays": "60"})["secretLifetimeDays"]
    assert "secretLifetimeDays = 60" in found
    assert "rotateEveryDays 90 + retireAfterDays 7 = 97" in found
    assert "secretLifetimeDays from 98; or rotateEveryDays from 8 to 52" in found
    long = problems({"nocobaseUrl": f"https://n.example.com/{'x' * 256}"})
    assert "256 are allowed" in long["redirectUris"]


def test_what_cannot_be_tagged_or_asked_for_is_told() -> None:
    found = problems(
        {
            "nocobaseUrl": URL,
            "tags": '["two words", "pulumi:o/p/s"]',
            "furtherPermissions": '["Calendars.Read"]',
            "sameName": "maybe",
        }
    )
    assert set(found) == {"tags[0]", "tags[1]", "furtherPermissions[0]", "sameName"}
    assert "are reserved: stacks set them" in found["tags[1]"]
    assert "=Scope (or =Role)" in found["furtherPermissions[0]"]


def test_permissions_and_owners_that_are_more_than_entra_id_allows() -> None:
    graph, other = MICROSOFT_GRAPH, "0a1b2c3d-0000-4000-8000-000000000009"
    # Five of the thirty are the scopes.
    asked = [f"{graph}/00000000-0000-4000-8000-{number:012}=Role" for number in range(26)]
    owners = [f"00000000-0000-4000-8000-{number:012}" for number in range(100)]
    found = problems({"nocobaseUrl": URL, "furtherPermissions": json.dumps(asked), "owners": json.dumps(owners)})
    assert "31 permissions of the API" in found["furtherPermissions"]
    assert "101 owners, the caller included" in found["owners"]
    fewer = [*asked[:25], f"{other}/00000000-0000-4000-8000-000000000000=Scope"]
    config = {"nocobaseUrl": URL, "furtherPermissions": json.dumps(fewer), "owners": json.dumps(owners[:99])}
    assert validate(config)[1] == []
    work = {"nocobaseUrl": URL, "furtherPermissions": json.dumps(asked), "audience": "AzureADMultipleOrgs"}
    assert validate(work)[1] == []


def test_what_accounts_of_organizations_alone_allow() -> None:
    config = {"nocobaseUrl": URL, "redirectUris": '["https://*.example.com/x"]'}
    assert set(problems(config)) == {"redirectUris"}
    for audience in ("AzureADMyOrg", "AzureADMultipleOrgs"):
        assert validate({**config, "audience": audience})[0] is not None
    many = json.dumps([f"https://n.example.com/{number}" for number in range(257)])
    assert "allows 256" in problems({**config, "audience": "AzureADMyOrg", "redirectUris": many})["redirectUris"]


def test_no_password_in_a_redirect_uri_is_repeated() -> None:
    assert "s3cret" not in str(problems({"nocobaseUrl": URL, "redirectUris": '["https://u:s3cret@n.example.com/x"]'}))


DURATIONS = ("secretLifetimeDays", "rotateEveryDays", "retireAfterDays")


@hypothesis.settings(max_examples=50)
@given(st.integers(1, 730), st.integers(1, 730), st.integers(0, 730))
def test_what_is_allowed_for_durations_is_allowed(lifetime: int, every: int, retire: int) -> None:
    given_days = dict(zip(DURATIONS, map(str, (lifetime, every, retire)), strict=True))
    settings, found = validate({"nocobaseUrl": URL, **given_days})
    if settings is not None:
        return
    (problem,) = found
    assert problem.value == given_days[problem.key]
    allowed = re.findall(r"(\w+) from (\d+)(?: to (\d+))?", problem.remedy)
    assert allowed or "Restore the defaults" in problem.remedy
    for key, *ends in allowed:
        for end in filter(None, ends):
            assert validate({"nocobaseUrl": URL, **given_days, key: end})[0], (problem, key, end)


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("consent", "everybody", "Set it to one of: user, tenant."),
        ("sameName", "maybe", "Set it to one of: refuse, allow."),
        ("protectApplication", "maybe", "Set it to one of: true, false."),
        ("audience", "AzureADMyOrgs", f"Set it to one of: {', '.join(list(Audience)[:3])}."),
        ("rotateRequestedAt", "now", "Correct it, or restore the default (none): pulumi config rm rotateRequestedAt"),
        ("compromisedBefore", "x", "Correct it, or restore the default (none): pulumi config rm compromisedBefore"),
        ("nocobaseApp", "a b", "Correct it: pulumi config set nocobaseApp <value>"),
        ("nocobaseUrl", "x", "Correct it: pulumi config set nocobaseUrl <value>"),
        ("scopes", '["Mail.Red"]', "--path 'scopes[0]' <value>, or remove it: pulumi config rm --path 'scopes[0]'"),
        ("secretLifetimeDays", "soon", "restore the default (180): pulumi config rm secretLifetimeDays"),
    ],
)
def test_a_remedy_never_gives_more_or_something_else(key: str, value: str, remedy: str) -> None:
    (found,) = validate({"nocobaseUrl": URL, key: value})[1]
    assert remedy in found.remedy


@given(st.sampled_from(sorted(set(KEYS))), st.text(min_size=1))
def test_no_remedy_sets_a_value_of_its_own(key: str, value: str) -> None:
    for problem in validate({"nocobaseUrl": URL, key: value})[1]:
        assert re.sub(r"config set (--secret )?(--path '\S+'|\S+) <value>", "", problem.remedy).count("config set") == 0


def test_a_leak_in_the_future_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_TODAY", "2027-01-31")
    monkeypatch.setenv("ARM_METADATA_HOSTNAME", "localhost:1")
    found = problems({"nocobaseUrl": URL, "compromisedBefore": "2030-01-01T00:00:00Z"})["compromisedBefore"]
    assert "lies in the future" in found
    assert "pulumi config rm compromisedBefore" in found
    for moment in ("2027-01-31T00:00:00Z", "2027-01-31T00:04:00Z"):
        assert validate({"nocobaseUrl": URL, "compromisedBefore": moment})[1] == []
