"""Which way to sign in follows from the azuread provider's settings, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra import sign_in_settings
from provisioning.entra.sign_in_settings import VARIABLES, Method, SignInSettings, use_configuration, use_tenant
from provisioning.errors import SignInUnusable

NAMED = {"tenantId": "the-tenant", "clientId": "the-client"}
TOKEN = {"useOidc": "true", "oidcToken": "a.b.c"}
ASKED = {"useOidc": "true", "oidcRequestUrl": "https://ci.example.com", "oidcRequestToken": "bearer"}


@pytest.fixture(autouse=True)
def no_stack() -> Iterator[None]:
    """No stack has said anything yet."""
    use_configuration({})
    yield
    use_configuration({})


def configured(values: dict[str, str]) -> SignInSettings:
    """The settings, all from the stack's configuration."""
    use_configuration({f"azuread:{key}": value for key, value in values.items()})
    return sign_in_settings.sign_in_settings({})


def exported(values: dict[str, str]) -> SignInSettings:
    """The settings, all from the environment."""
    use_configuration({})
    return sign_in_settings.sign_in_settings({VARIABLES[key][0]: value for key, value in values.items()})


CASES: list[tuple[dict[str, str], Method]] = [
    ({}, Method.AZURE_CLI),
    (NAMED, Method.AZURE_CLI),
    ({**NAMED, "clientSecret": "s"}, Method.SECRET),
    ({"clientId": "the-client", "clientSecret": "s"}, Method.AZURE_CLI),
    ({**NAMED, "clientCertificate": "c", "clientSecret": "s"}, Method.CERTIFICATE),
    ({**NAMED, "clientCertificatePath": "/c", **TOKEN}, Method.CERTIFICATE),
    ({**NAMED, **TOKEN}, Method.TOKEN),
    ({**NAMED, **TOKEN, "clientSecret": "s"}, Method.SECRET),
    ({**NAMED, **TOKEN, "useOidc": "false"}, Method.AZURE_CLI),
    ({**NAMED, "useAksWorkloadIdentity": "T", "oidcToken": "a.b.c"}, Method.TOKEN),
    ({**NAMED, **ASKED}, Method.REQUESTED_TOKEN),
    ({**NAMED, **ASKED, **TOKEN}, Method.TOKEN),
    ({**NAMED, **ASKED, "adoPipelineServiceConnectionId": "id"}, Method.AZURE_DEVOPS),
    ({**NAMED, "useOidc": "1"}, Method.AZURE_CLI),
    ({"useMsi": "true"}, Method.MANAGED_IDENTITY),
    ({**NAMED, "clientSecret": "s", "useMsi": "true"}, Method.SECRET),
    ({"environment": "global"}, Method.AZURE_CLI),
    ({"environment": "usgovernment", "metadataHost": "localhost:1"}, Method.AZURE_CLI),
]


@pytest.mark.parametrize(("values", "method"), CASES)
@pytest.mark.parametrize("source", [configured, exported], ids=["stack", "environment"])
def test_the_first_complete_way_is_taken(values: dict[str, str], method: Method, source: object) -> None:
    assert callable(source)
    assert source(values).method is method


def test_the_stack_wins_setting_by_setting_and_says_where_each_stands() -> None:
    use_configuration({"azuread:tenantId": "the stack's", "nocobase-outlook:clientId": "none of the provider's"})
    found = sign_in_settings.sign_in_settings({"ARM_TENANT_ID": "the environment's", "ARM_CLIENT_ID": "c"})
    assert (found.tenant, found.client_id) == ("the stack's", "c")
    assert found.origin("tenantId") == "azuread:tenantId in the stack's configuration"
    assert (found.origin("clientId"), found.origin("useCli")) == ("ARM_CLIENT_ID", "ARM_USE_CLI")
    use_tenant(None)
    assert sign_in_settings.sign_in_settings({}).tenant == "the stack's"
    use_tenant("another")
    assert sign_in_settings.sign_in_settings({}).tenant == "another"


@pytest.mark.parametrize("key", [key for key, variables in VARIABLES.items() if len(variables) > 1])
def test_each_variable_of_a_setting_counts_in_its_order(key: str) -> None:
    environment = dict(zip(VARIABLES[key], "abc", strict=False))
    while environment:
        found = sign_in_settings.sign_in_settings(environment)
        first = next(iter(environment))
        assert (found[key], found.origin(key)) == (environment.pop(first), first)


@pytest.mark.parametrize("key", ["clientId", "clientSecret"])
def test_a_value_may_be_in_a_file(tmp_path: Path, key: str) -> None:
    file_key = f"{key}FilePath"
    file = tmp_path / "held"
    file.write_text("from-the-file\n")
    around = {**NAMED, "clientSecret": "s", file_key: str(file)}
    del around[key]
    found = configured(around)
    assert (found.client_id if key == "clientId" else found.client_secret) == "from-the-file"
    assert found.method is Method.SECRET
    with pytest.raises(SignInUnusable, match="differ"):
        _ = configured({**around, key: "another"}).method
    file.unlink()
    with pytest.raises(SignInUnusable, match=rf"{file_key} in the stack's configuration names, cannot be read"):
        _ = configured(around).method


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    found = configured({**NAMED, "useOidc": "true", "oidcTokenFilePath": str(file)})
    for text in ("first", "second\n"):
        file.write_text(text)
        assert found.token == text.strip()


def test_the_tenant_of_a_workload_identity_may_not_be_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", "the workload's")
    assert configured({"useAksWorkloadIdentity": "true"}).tenant == "the workload's"
    assert configured(NAMED).tenant == "the-tenant"
    with pytest.raises(SignInUnusable, match="names the tenant the-tenant, and AKS workload identity"):
        _ = configured({**NAMED, "useAksWorkloadIdentity": "true"}).tenant


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"useCli": "false"}, "turns the Azure CLI off"),
        ({"environment": "usgovernment"}, "knows Microsoft's public cloud only"),
        ({"environment": "china"}, "names the cloud 'china'"),
        ({"metadataHost": "management.usgovcloudapi.net"}, "names the cloud 'management.usgovcloudapi.net'"),
        ({"useOidc": "yes"}, "the azuread provider takes true or false"),
    ],
)
def test_what_cannot_work_is_rejected_by_its_name(values: dict[str, str], words: str) -> None:
    with pytest.raises(SignInUnusable, match=words):
        _ = configured(values).method
    with pytest.raises(SignInUnusable, match=VARIABLES[next(iter(values))][0]):
        _ = exported(values).method


@given(st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text(max_size=8), max_size=8))
def test_whatever_is_set_there_is_a_way_or_a_sentence(values: dict[str, str]) -> None:
    values = {key: value for key, value in values.items() if not key.endswith("FilePath")}
    found = configured(values)
    with suppress(SignInUnusable):
        assert isinstance(found.method, Method)


def test_no_value_is_in_a_repr() -> None:
    assert "the-secret-value" not in repr(configured({**NAMED, "clientSecret": "the-secret-value"}))


AADSTS = (
    "building client: clientCredentialsToken: received HTTP status 401 with response: "
    '{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. s3cret"}'
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (AADSTS, "failed: AADSTS7000215: Wrong client secret. Correct ARM_CLIENT_SECRET"),
        (
            "AADSTS90002: Tenant 'the-tenant' not found.",
            "failed: AADSTS90002: No such tenant. Correct azuread:tenantId",
        ),
        ("Unable to get authority configuration for https://…", "there is no such tenant. Correct azuread:tenantId in"),
        ("dial tcp: lookup login.microsoftonline.com: no such host", "Entra ID did not answer"),
        ("could not acquire an access token; please run az login", "nobody is signed in. Sign in: `az login"),
    ],
)
def test_a_sign_in_that_fails_is_one_sentence_with_the_setting_of_its_tenant(text: str, words: str) -> None:
    configured(NAMED)
    said = str(sign_in_settings.rejected(text))
    assert words in said
    assert "(tenant the-tenant, which azuread:tenantId in the stack's configuration names)" in said
    assert "s3cret" not in said
    assert len(said.splitlines()) == 1


def test_the_tenant_of_the_state_wins_and_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_TENANT_ID", "another")
    use_tenant("the-tenant")
    found = sign_in_settings.sign_in_settings()
    assert (found.tenant, found.origin("tenantId")) == ("the-tenant", "the stack's state")
    use_configuration({})
    use_tenant("ANOTHER")
    assert sign_in_settings.sign_in_settings().origin("tenantId") == "ARM_TENANT_ID"


def test_switches_may_be_no_text() -> None:
    use_configuration({"azuread:useOidc": True})
    assert sign_in_settings.sign_in_settings({}).is_on("useOidc")
