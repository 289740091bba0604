"""`--tenant real`, as far as it can be tried without a real tenant: who signs in, what is never touched, what is left.

A whole run of it goes to the sandbox, by the same variables that send the azuread provider there.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from pytest_socket import SocketConnectBlockedError

from sandbox.entra import identity
from sandbox.place import PROJECT
from tests.contract import real_tenant, tenant
from tests.contract.conftest import pytest_addoption, sandbox_access
from tests.contract.report import ID, PREFIX
from tests.contract.tenant import ForeignObjectError, LeftoverError, Tenant, new_prefix
from tests.sandbox.entra.service import Service

Json = dict[str, Any]
ARM = {"ARM_TENANT_ID": "t", "ARM_CLIENT_ID": "c", "ARM_CLIENT_SECRET": "s"}
ME = identity.DEPLOYER_OBJECT_ID
TENANT_TESTS = ("tests/contract/test_tenant.py", "tests/contract/test_open_questions.py")
BEYOND = "127.0.0.2"
"""An address of this machine that is not among those that tests may reach."""


def pytest_run(*arguments: str, **environment: str) -> str:
    """What a run of its own prints, without any login of this machine's user."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    # Nobody is signed in where there is no `az` and no home.
    around = {"PATH": os.path.dirname(sys.executable), "HOME": os.devnull, **environment}
    ended = subprocess.run(command, cwd=PROJECT, env=around, capture_output=True, text=True, check=False, timeout=300)
    return ended.stdout + ended.stderr


@pytest.fixture
def own(entra: Service) -> Iterator[Tenant]:
    """A tenant's view that the test cleans up itself."""
    made = Tenant(sandbox_access(entra), new_prefix())
    yield made
    made._http.close()


def foreign(entra: Service, name: str = "somebody's") -> Json:
    """An application of somebody else."""
    return entra.directory.create_application({"displayName": name}, ME, [])


# Who signs in


def test_arm_variables_win() -> None:
    with real_tenant.credential(ARM, real_tenant.Cloud()) as chosen:
        assert isinstance(chosen, ClientSecretCredential)


@pytest.mark.parametrize("environment", [{}, {"ARM_TENANT_ID": "t"}])
def test_else_whoever_is_signed_in(environment: dict[str, str]) -> None:
    with real_tenant.credential(environment, real_tenant.Cloud()) as chosen:
        assert isinstance(chosen, DefaultAzureCredential)


@pytest.mark.parametrize("missing", ["ARM_TENANT_ID", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET"])
def test_half_a_client_is_nobody(missing: str) -> None:
    environment = {name: value for name, value in ARM.items() if name != missing}
    with pytest.raises(real_tenant.NoCredentialsError, match=f"^{missing} is not set"):
        real_tenant.credential(environment, real_tenant.Cloud())


def test_addresses_are_the_public_clouds_or_what_the_metadata_say(entra: Service) -> None:
    assert real_tenant.cloud({}, entra.tls) == real_tenant.Cloud(
        "https://graph.microsoft.com", "https://login.microsoftonline.com", public=True
    )
    assert real_tenant.cloud(entra.environment, entra.tls) == real_tenant.Cloud(
        entra.address, entra.address, public=False
    )


def test_another_tenant_than_the_named_one_is_refused(entra: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(entra.certificates.authority))
    environment = {**entra.environment, "ARM_TENANT_ID": identity.TENANT_DOMAIN}
    with pytest.raises(real_tenant.WrongTenantError, match=f"belong to {identity.TENANT_ID}"):
        real_tenant.access(environment)


# Runs


def test_run_without_credentials_is_skipped_with_a_sentence_and_only_a_tenants_tests_may_leave_this_machine() -> None:
    said = pytest_run("tests/contract", "-m", "enable_socket", "--tenant", "real")
    assert "No credentials for a real tenant: set ARM_TENANT_ID, ARM_CLIENT_ID and ARM_CLIENT_SECRET" in said
    assert " passed" not in said
    assert " failed" not in said
    assert " error" not in said
    assert set(re.findall(r"^SKIPPED \[\d+\] ([^:]+):", said, re.MULTILINE)) == set(TENANT_TESTS)


def test_no_test_may_leave_this_machine_where_no_real_tenant_is_meant(request: pytest.FixtureRequest) -> None:
    items = request.session.items
    assert [item.nodeid for item in items if item.get_closest_marker("enable_socket")] == []


def test_whole_run_passes_where_the_variables_lead_and_leaves_nothing(entra: Service) -> None:
    kept = foreign(entra)
    said = pytest_run(
        *TENANT_TESTS, "--tenant", "real", "--sign-in", REQUESTS_CA_BUNDLE=entra.environment["SSL_CERT_FILE"],
        TENANT_TEST_USER=min(identity.PEOPLE), TENANT_TEST_LOOKS="1", **entra.environment,
    )  # fmt: skip
    answers = [line.removeprefix(PREFIX) for line in said.splitlines() if line.startswith(PREFIX)]
    assert len(answers) == 27
    assert [line for line in answers if "expected" in line and " as owner later: " not in line] == []
    assert not ID.search("".join(answers))
    assert " passed" in said
    assert " skipped" not in said
    assert " failed" not in said
    assert " error" not in said
    assert list(entra.directory.state.applications) == [kept["id"]]
    assert entra.directory.state.deletedItems == {}
    made = [entry for entry in entra.take_requests() if entry["method"] == "POST" and entry["status"] == 201]
    assert len(made) > 20


@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
def test_fence_stands_here_and_is_open_there() -> None:
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection((BEYOND, 1))
    said = pytest_run(TENANT_TESTS[0], "-k", "missing_object", "--tenant", "real", ARM_METADATA_HOSTNAME=f"{BEYOND}:1")
    assert "httpx.Connect" in said
    assert "A test tried to use socket" not in said


def test_unknown_tenants_are_refused() -> None:
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    assert parser.parse(["--tenant", "real"]).tenant == "real"
    with pytest.raises(pytest.UsageError, match="invalid choice: 'production'"):
        parser.parse(["--tenant", "production"])


# What is never touched


def test_prefixes_cannot_be_guessed_and_leave_room_for_names() -> None:
    made = {new_prefix() for _ in range(100)}
    assert len(made) == 100
    assert all(len(prefix) == len("contract-test--") + 32 for prefix in made)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/applications", {"displayName": "mail"}),
        ("POST", "/applications", {}),
        ("PATCH", "/applications/{id}", {"notes": "x"}),
        ("DELETE", "/applications/{id}", None),
        ("DELETE", "/directory/deletedItems/{id}", None),
        ("POST", "/directory/deletedItems/{id}/restore", None),
        ("POST", "/applications/{id}/addPassword", {}),
        ("POST", "/applications/{id}/removePassword", {"keyId": "x"}),
        ("POST", "/applications/{id}/owners/$ref", {}),
        ("POST", "/servicePrincipals", {"appId": "{app_id}"}),
        ("PATCH", "/servicePrincipals/{id}", {"notes": "x"}),
        ("DELETE", "/servicePrincipals/{id}", None),
        ("POST", "/oauth2PermissionGrants", {"clientId": "{id}"}),
        ("DELETE", "/oauth2PermissionGrants/{id}", None),
        ("PATCH", "/organization/{id}", {"displayName": "x"}),
        ("DELETE", "/users/{id}", None),
    ],
)
def test_change_to_a_foreign_object_is_not_even_sent(
    entra: Service, own: Tenant, method: str, path: str, body: Json | None
) -> None:
    made = foreign(entra)
    entra.take_requests()
    asked = body and {name: value.format(id=made["id"], app_id=made["appId"]) for name, value in body.items()}
    with pytest.raises(ForeignObjectError):
        own.call(method, path.format(id=made["id"]), asked, expect=204)
    assert entra.take_requests() == []


def test_own_object_keeps_its_prefix(own: Tenant) -> None:
    made = own.create_application()
    with pytest.raises(ForeignObjectError):
        own.call("PATCH", f"/applications/{made['id']}", {"displayName": "mail"}, expect=204)
    own.clean_up()


def test_object_that_somebody_renamed_is_left_and_named(entra: Service, own: Tenant) -> None:
    renamed, other = own.create_application(), own.create_application()
    entra.directory.update_application(renamed["id"], {"displayName": "now somebody's"}, ME)
    with pytest.raises(LeftoverError, match=f"applications/{renamed['id']}"):
        own.clean_up()
    assert list(entra.directory.state.applications) == [renamed["id"]]
    assert other["id"] not in entra.directory.state.deletedItems


def test_id_of_a_foreign_object_among_ones_own_is_left_and_named(entra: Service, own: Tenant) -> None:
    made = foreign(entra)
    own.made[made["id"]] = tenant.Made("applications", made["appId"])
    with pytest.raises(LeftoverError, match="its name does not start with this run's prefix"):
        own.clean_up()
    assert list(entra.directory.state.applications) == [made["id"]]


# What is left


def holds(entra: Service) -> list[Json]:
    """Everything of any run, deleted items included."""
    found: Json = entra.directory.snapshot()
    return [
        *found["applications"],
        *found["servicePrincipals"],
        *found["oauth2PermissionGrants"],
        *found["deletedItems"],
    ]


def test_everything_is_removed_for_good(entra: Service, own: Tenant) -> None:
    entra.behave(hidden_reads=2)
    made = own.create_application()
    own.create_service_principal(made)
    own.add_password(made)
    own.call("DELETE", f"/applications/{own.create_application()['id']}", expect=204)
    own.clean_up()
    assert holds(entra) == []


def test_object_that_is_not_seen_yet_is_waited_for(entra: Service, own: Tenant) -> None:
    entra.behave(hidden_reads=5)
    own.call("POST", "/applications", {"displayName": own.name()}, expect=201)
    own.clean_up()
    assert holds(entra) == []


def test_object_whose_creation_was_never_answered_is_found(entra: Service, own: Tenant) -> None:
    entra.fault("POST /v1.0/applications$", status=502, after=True)
    made = own.create_application()
    assert len(entra.directory.state.applications) == 2
    assert list(own.made) == [made["id"]]
    own.clean_up()
    assert holds(entra) == []


def test_busy_service_is_waited_for(entra: Service, own: Tenant) -> None:
    made = own.create_application()
    entra.fault(f"DELETE /v1.0/applications/{made['id']}", status=503, times=3)
    entra.fault("DELETE /v1.0/directory/deletedItems", status=429, times=3)
    own.clean_up()
    assert holds(entra) == []


def test_what_cannot_be_removed_is_named_and_the_rest_is_removed(entra: Service, own: Tenant) -> None:
    stuck, other = own.create_application(), own.create_application()
    entra.fault(f"DELETE /v1.0/applications/{stuck['id']}", status=400, times=None)
    with pytest.raises(LeftoverError, match=f"names starting with {own.prefix}.*{stuck['id']}"):
        own.clean_up()
    assert [item["id"] for item in holds(entra)] == [stuck["id"]]
    assert other["id"] not in str(holds(entra))


def test_wait_has_an_end(entra: Service, own: Tenant) -> None:
    object.__setattr__(own.access, "patience", 0.1)
    with pytest.raises(AssertionError, match="404, not 200"):
        own.call("GET", f"/applications/{uuid.uuid4()}", expect=200)
