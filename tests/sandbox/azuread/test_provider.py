"""The provider against a running stand-in for Entra ID, where the recordings do not reach."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, status_pb2

from sandbox.azuread import values
from sandbox.azuread.__main__ import EngineLog
from sandbox.azuread.graph import WAITS_VARIABLE, Configuration, Graph, ProviderError, configuration, most_retries
from sandbox.azuread.provider import VERSION, Provider
from sandbox.entra import identity
from tests.contract.conftest import plugin
from tests.contract.in_process import Refusal, context, provider
from tests.contract.replay import stub_call
from tests.sandbox.entra.service import Service

Json = dict[str, Any]
ROOT = Path(__file__).parent.parent.parent.parent
URN = "urn:pulumi:dev::test::azuread:index/{0}:{1}::mail"
APPLICATION = URN.format("application", "Application")
PRINCIPAL = URN.format("servicePrincipal", "ServicePrincipal")
PASSWORD = URN.format("applicationPassword", "ApplicationPassword")
OTHER = "44444444-4444-4444-4444-444444444444"
ME = identity.DEPLOYER_OBJECT_ID
REFUSED = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}


class Engine:
    """Calls a configured provider as the engine does, with plain values."""

    def __init__(self, made: Provider) -> None:
        self.made = made
        self.context = context()
        made.Configure(provider_pb2.ConfigureRequest(), self.context)

    def create(self, urn: str, preview: bool = False, **inputs: Any) -> tuple[str, Json]:
        """Id and outputs."""
        request = provider_pb2.CreateRequest(urn=urn, properties=values.write(inputs), preview=preview)
        answer = self.made.Create(request, self.context)
        return answer.id, values.read(answer.properties)

    def check(self, urn: str, olds: Json, news: Json) -> list[str]:
        """The properties that are not accepted."""
        request = provider_pb2.CheckRequest(urn=urn, olds=values.write(olds), news=values.write(news))
        failures = self.made.Check(request, self.context).failures
        assert {failure.property for failure in failures} <= {""}
        return [failure.reason.rpartition("'mail.")[2].removesuffix("'.") for failure in failures]

    def update(self, urn: str, identifier: str, olds: Json, **news: Any) -> Json:
        """Outputs."""
        request = provider_pb2.UpdateRequest(urn=urn, id=identifier, olds=values.write(olds), news=values.write(news))
        return values.read(self.made.Update(request, self.context).properties)

    def delete(self, urn: str, identifier: str, olds: Json | None = None) -> None:
        """A deletion."""
        request = provider_pb2.DeleteRequest(urn=urn, id=identifier, properties=values.write(olds or {}))
        self.made.Delete(request, self.context)

    def read(self, urn: str, identifier: str) -> provider_pb2.ReadResponse:
        """An import."""
        return self.made.Read(provider_pb2.ReadRequest(urn=urn, id=identifier), self.context)

    def invoke(self, token: str, **arguments: Any) -> Json:
        """A function's result."""
        request = provider_pb2.InvokeRequest(tok=token, args=values.write(arguments))
        return values.read(getattr(self.made.Invoke(request, self.context), "return"))


@pytest.fixture
def waits() -> list[float]:
    """What the provider would have slept."""
    return []


@pytest.fixture
def engine(entra: Service, waits: list[float]) -> Engine:
    """A configured provider."""
    return Engine(provider(entra.environment, waits))


def applications(entra: Service) -> list[Json]:
    """All applications of the tenant."""
    return entra.directory.objects("applications")


def test_unavailable_after_the_change_leaves_a_duplicate(entra: Service, engine: Engine, waits: list[float]) -> None:
    entra.fault("POST /v1.0/applications$", status=503, after=True)
    engine.create(APPLICATION, displayName="mail", owners=[ME])
    assert [application["displayName"] for application in applications(entra)] == ["mail", "mail"]
    assert waits == [1.0]


def test_connection_dropped_after_the_change_ends_the_run_and_leaves_an_orphaned_secret(
    entra: Service, engine: Engine, waits: list[float]
) -> None:
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    entra.fault("POST .*/addPassword$", drop=True, after=True)
    with pytest.raises(Refusal, match=r'Adding password .*: Post "https://.*": HTTP response was nil'):
        engine.create(PASSWORD, applicationId=identifier, displayName="a")
    assert len(applications(entra)[0]["passwordCredentials"]) == 1
    assert waits == []


def test_a_broken_connection_is_repeated_for_what_only_reads(
    entra: Service, engine: Engine, waits: list[float]
) -> None:
    identifier, outputs = engine.create(APPLICATION, displayName="mail", owners=[ME])
    entra.fault("GET /v1.0/applications/[^/]+$", drop=True, times=2)
    assert engine.read(APPLICATION, identifier).id == identifier
    assert waits == [1.0, 2.0]
    for method in ("PATCH", "DELETE"):
        entra.fault(f"{method} /v1.0/applications/[^/]+$", drop=True)
    with pytest.raises(Refusal, match=r"Could not update application .*: Patch .*: HTTP response was nil"):
        engine.update(APPLICATION, identifier, outputs, displayName="other", owners=[ME])
    with pytest.raises(Refusal, match=r"deleting Application .*: Delete .*: HTTP response was nil"):
        engine.delete(APPLICATION, identifier)
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(("header", "expected"), [({"Retry-After": "7"}, [7.0, 7.0]), ({}, [1.0, 2.0])])
def test_waits_as_long_as_graph_says(
    entra: Service, engine: Engine, waits: list[float], header: dict[str, str], expected: list[float]
) -> None:
    entra.fault("POST /v1.0/applications$", status=429, times=2, headers=header)
    engine.create(APPLICATION, displayName="mail", owners=[ME])
    assert waits == expected


@pytest.mark.parametrize(("urn", "retries"), [(APPLICATION, 14), (PASSWORD, 19)])
def test_gives_up_when_the_time_of_the_call_is_over(
    entra: Service, engine: Engine, waits: list[float], urn: str, retries: int
) -> None:
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    entra.fault("POST /v1.0/applications", status=503, times=None, body=REFUSED)
    with pytest.raises(Refusal, match="unexpected status 503"):
        engine.create(urn, displayName="mail", applicationId=identifier)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] + [61.0] * (retries - 6)


@pytest.mark.parametrize(
    ("patience", "retries"), [(0.5, -1), (1, 0), (7, 2), (63, 5), (64, 6), (300, 9), (600, 14), (900, 19)]
)
def test_as_many_repetitions_as_fit(patience: float, retries: int) -> None:
    assert most_retries(patience) == retries


@pytest.mark.parametrize("status", [403, 404])
def test_secret_that_is_not_seen_after_its_creation_ends_the_run_without_a_state(
    entra: Service, engine: Engine, status: int
) -> None:
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    entra.fault("GET /v1.0/applications/[^/]+$", skip=1, status=status, body=REFUSED)
    with pytest.raises(Refusal, match="Waiting for password credential"):
        engine.create(PASSWORD, applicationId=identifier, displayName="a")
    assert engine.context.trailing == ()
    assert len(applications(entra)[0]["passwordCredentials"]) == 1


def test_half_made_secret_is_handed_to_the_engine(entra: Service, engine: Engine) -> None:
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    entra.fault("GET /v1.0/applications/[^/]+$", skip=6, status=403, body=REFUSED)
    with pytest.raises(Refusal, match="Retrieving Application"):
        engine.create(PASSWORD, applicationId=identifier, displayName="a")
    status = status_pb2.Status.FromString(dict(engine.context.trailing)["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    key_id = applications(entra)[0]["passwordCredentials"][0]["keyId"]
    assert detail.id == f"{identifier.rpartition('/')[2]}/password/{key_id}"
    assert detail.properties.fields["value"].struct_value.fields[values.SIGNATURE].string_value == values.SECRET


def test_object_that_is_gone_after_its_creation_is_reported(entra: Service, engine: Engine) -> None:
    entra.fault("GET /v1.0/applications/[^/]+$", status=404, body=REFUSED)
    with pytest.raises(Refusal, match="expected non-empty ID for new state during Create"):
        engine.create(APPLICATION, displayName="mail", owners=[ME])


def test_a_new_application_is_waited_for_and_a_new_service_principal_is_not(entra: Service, engine: Engine) -> None:
    entra.behave(hidden_reads=3)
    _, application = engine.create(APPLICATION, displayName="mail", owners=[ME])
    with pytest.raises(Refusal, match="Timed out whilst waiting for new service principal to be replicated"):
        engine.create(PRINCIPAL, clientId=application["clientId"], owners=[ME])
    (principal,) = entra.directory.snapshot()["servicePrincipals"]
    status = status_pb2.Status.FromString(dict(engine.context.trailing)["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == f"/servicePrincipals/{principal['id']}"


def test_owners_are_set_and_the_caller_leaves_if_it_is_not_named(entra: Service, engine: Engine) -> None:
    identifier, outputs = engine.create(APPLICATION, displayName="mail", owners=[OTHER, ME])
    assert outputs["owners"] == [ME, OTHER]
    outputs = engine.update(APPLICATION, identifier, outputs, displayName="mail", owners=[ME])
    assert outputs["owners"] == [ME]
    outputs = engine.update(APPLICATION, identifier, outputs, displayName="mail", owners=[OTHER])
    assert outputs["owners"] == [OTHER]
    with pytest.raises(Refusal, match="Authorization_RequestDenied"):
        engine.update(APPLICATION, identifier, outputs, displayName="locked out", owners=[OTHER])


def test_second_service_principal_must_be_imported_or_adopted(engine: Engine) -> None:
    _, application = engine.create(APPLICATION, displayName="mail", owners=[ME])
    client_id = application["clientId"]
    identifier, _ = engine.create(PRINCIPAL, clientId=client_id, accountEnabled=True, owners=[ME])
    with pytest.raises(Refusal, match="needs to be imported into the State"):
        engine.create(PRINCIPAL, clientId=client_id, accountEnabled=True, owners=[ME])
    adopted, outputs = engine.create(PRINCIPAL, clientId=client_id, useExisting=True, owners=[ME], notes="x")
    assert (adopted, outputs["notes"]) == (identifier, "x")


def test_a_service_principal_that_may_exist_is_deleted_without_a_look_at_the_outcome(
    entra: Service, engine: Engine, waits: list[float]
) -> None:
    _, application = engine.create(APPLICATION, displayName="mail", owners=[ME])
    identifier, outputs = engine.create(PRINCIPAL, clientId=application["clientId"], useExisting=True, owners=[ME])
    entra.take_requests()
    engine.delete(PRINCIPAL, identifier, outputs)
    engine.delete(PRINCIPAL, identifier, outputs)
    assert [(entry["method"], entry["status"]) for entry in entra.take_requests()] == [("DELETE", 204), ("DELETE", 404)]
    with pytest.raises(Refusal, match="Deleting Service Principal"):
        engine.delete(PRINCIPAL, identifier)


def test_duplicate_names_are_refused_if_asked(engine: Engine) -> None:
    engine.create(APPLICATION, displayName="it's mail", owners=[ME])
    with pytest.raises(Refusal, match=r"with name .* was found and `prevent_duplicate_names`"):
        engine.create(APPLICATION, displayName="it's mail", owners=[ME], preventDuplicateNames=True)


def test_relative_end_date(entra: Service, engine: Engine) -> None:
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    _, outputs = engine.create(
        PASSWORD, applicationId=identifier, startDate="2027-01-01T00:00:00Z", endDateRelative="240h"
    )
    assert (outputs["startDate"], outputs["endDate"]) == ("2027-01-01T00:00:00Z", "2027-01-11T00:00:00Z")


def test_import_of_a_service_principal_and_of_nothing(engine: Engine) -> None:
    _, application = engine.create(APPLICATION, displayName="mail", owners=[ME])
    identifier, _ = engine.create(PRINCIPAL, clientId=application["clientId"], accountEnabled=True, owners=[ME])
    found = engine.read(PRINCIPAL, identifier)
    assert found.id == identifier
    assert values.read(found.inputs)["clientId"] == application["clientId"]
    assert engine.read(PRINCIPAL, f"/servicePrincipals/{OTHER}").id == ""


def test_what_it_does_not_set_stays_where_it_was_imported_and_goes_where_it_is_declared_no_more(
    entra: Service, engine: Engine
) -> None:
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    (made,) = applications(entra)
    made["appRoles"] = [
        {"id": OTHER, "allowedMemberTypes": ["User"], "description": "d", "displayName": "n", "isEnabled": True}
    ]
    made["api"]["oauth2PermissionScopes"] = [{"id": OTHER, "value": "read", "isEnabled": True, "type": "User"}]
    made["optionalClaims"] = {"idToken": [{"name": "email"}], "accessToken": [], "saml2Token": []}
    made["notes"] = "made by hand"
    imported = engine.read(APPLICATION, identifier)
    outputs, inputs = values.read(imported.properties), values.read(imported.inputs)
    assert engine.check(APPLICATION, inputs, inputs) == []
    assert engine.check(APPLICATION, {}, inputs) == ["api.oauth2PermissionScopes", "appRoles", "optionalClaims"]

    def held() -> tuple[int, int, bool, bool]:
        (now,) = applications(entra)
        claims, scopes = now["optionalClaims"].get("idToken"), now["api"]["oauth2PermissionScopes"]
        return len(now["appRoles"]), len(scopes), bool(claims), bool(now["notes"])

    after = engine.update(APPLICATION, identifier, outputs, **{**inputs, "displayName": "renamed"})
    assert held() == (1, 1, True, True)
    entra.take_requests()
    engine.update(APPLICATION, identifier, after, displayName="mail", owners=[ME])
    assert held() == (0, 0, False, False)
    sent = [json.loads(entry["body"]) for entry in entra.take_requests() if entry["method"] == "PATCH"]
    roles, scopes, last = sent
    assert [role["isEnabled"] for role in roles["appRoles"]] == [False]
    assert [scope["isEnabled"] for scope in scopes["api"]["oauth2PermissionScopes"]] == [False]
    assert (last["appRoles"], last["api"]["oauth2PermissionScopes"], last["optionalClaims"]) == ([], [], {})


def test_an_error_is_logged_as_the_terraform_sdk_logs_it(entra: Service) -> None:
    logged: list[tuple[str, str, str]] = []
    made = Provider(entra.environment, log=lambda *line: logged.append(line))
    engine = Engine(made)
    assert [(severity, urn) for severity, urn, _ in logged] == [("debug", "")]
    identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
    entra.fault("DELETE", status=403, body=REFUSED)
    with pytest.raises(Refusal, match=r"\* \[id] deleting Application .*: unexpected status 403"):
        engine.delete(APPLICATION, identifier)
    (severity, urn, text), *more = logged[1:]
    assert (severity, urn, more) == ("error", APPLICATION, [])
    assert text.startswith("  sdk-v2/provider2.go:572: sdk.helper_schema: deleting Application (Application: ")
    assert text.endswith("Authorization_RequestDenied: no: provider=azuread@6.10.0")


def test_an_engine_that_finds_the_plugin_running_gets_the_log() -> None:
    log = EngineLog(None)
    log("error", "", "nobody hears this")
    Provider({}, log=log, on_attach=log.attach).Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"), context())
    assert log.address == "127.0.0.1:1"


def test_personal_audience_needs_new_tokens_at_preview(engine: Engine) -> None:
    audience = "AzureADandPersonalMicrosoftAccount"
    with pytest.raises(Refusal, match="`requested_access_token_version` must be 2"):
        engine.create(APPLICATION, preview=True, displayName="mail", signInAudience=audience)
    planned = engine.create(
        APPLICATION, preview=True, displayName="mail", signInAudience=audience, api={"requestedAccessTokenVersion": 2}
    )
    assert planned[0] == ""
    assert planned[1]["clientId"] == values.UNKNOWN


def test_unknown_types_and_functions_say_what_to_do(engine: Engine) -> None:
    with pytest.raises(Refusal, match=r"no resource type azuread:index/user:User; install the official plugin"):
        engine.create(URN.format("user", "User"), displayName="x")
    with pytest.raises(Refusal, match=r"no function azuread:index/getUser:getUser; install the official plugin"):
        engine.invoke("azuread:index/getUser:getUser")


def test_service_principal_by_name_and_by_id(engine: Engine) -> None:
    token = "azuread:index/getServicePrincipal:getServicePrincipal"
    by_name = engine.invoke(token, displayName="Microsoft Graph")
    by_id = engine.invoke(token, objectId=by_name["objectId"])
    assert by_name == by_id
    assert by_name["oauth2PermissionScopeIds"]["SMTP.Send"] == "258f6531-6087-4cc4-bb90-092c5fb3ed3f"
    with pytest.raises(Refusal, match="was not found"):
        engine.invoke(token, clientId=OTHER)


def test_wrong_secret_is_explained_and_not_repeated(entra: Service) -> None:
    made = provider({**entra.environment, "ARM_CLIENT_SECRET": "not-the-secret"})
    with pytest.raises(Refusal, match="AADSTS7000215") as refusal:
        Engine(made)
    assert "not-the-secret" not in str(refusal.value)


def test_missing_credentials_are_named() -> None:
    with pytest.raises(ProviderError, match="ARM_CLIENT_ID, ARM_CLIENT_SECRET is not set"):
        configuration({}, {"ARM_TENANT_ID": "x"})


def test_configuration_keeps_its_secret() -> None:
    chosen = configuration({"tenantId": "t", "clientSecret": "hush"}, {"ARM_CLIENT_ID": "c", "ARM_TENANT_ID": "other"})
    assert (chosen.tenant_id, chosen.client_secret) == ("t", "hush")
    assert "hush" not in repr(chosen)


def test_unknown_authority_is_not_trusted_or_retried(entra: Service, waits: list[float]) -> None:
    environment = {key: value for key, value in entra.environment.items() if key != "SSL_CERT_FILE"}
    with pytest.raises(ProviderError, match="certificate verify failed"):
        Graph(Configuration(entra.environment["ARM_METADATA_HOSTNAME"], "t", "c", "s"), environment, waits.append)
    assert waits == []


def test_polling_waits_are_copied_only_if_asked_for(entra: Service) -> None:
    for asked, expected in (({}, []), ({WAITS_VARIABLE: "real"}, [1.0] * 4 + [5.0] * 4)):
        waits: list[float] = []
        engine = Engine(provider({**entra.environment, **asked}, waits))
        identifier, _ = engine.create(APPLICATION, displayName="mail", owners=[ME])
        password, _ = engine.create(PASSWORD, applicationId=identifier)
        engine.delete(PASSWORD, password)
        assert waits == expected


def test_process_prints_its_port_and_stops_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.azuread"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    process.terminate()
    out, errors = process.communicate(timeout=10)
    assert (process.returncode, out, errors) == (0, "", "")


def eventually_refuses(channel: grpc.Channel) -> bool:
    """Whether the process stops answering within ten seconds."""
    call = stub_call(channel)
    for _ in range(200):
        try:
            call("GetPluginInfo", empty_pb2.Empty())
        except grpc.RpcError:
            return True
        time.sleep(0.05)
    return False


def test_process_says_what_it_is_and_obeys_cancel(entra: Service) -> None:
    with plugin(entra.environment) as channel:
        call = stub_call(channel)
        assert call("GetPluginInfo", empty_pb2.Empty()).version == VERSION == "6.10.0+stand-in"
        call("Configure", provider_pb2.ConfigureRequest())
        call("Cancel", empty_pb2.Empty())
        assert eventually_refuses(channel)
