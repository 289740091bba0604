"""Everything signs in to Entra ID as the azuread provider does, and a run locks nobody out."""

from __future__ import annotations

import pytest
import yaml

from sandbox import holdings
from sandbox.entra import identity
from tests.e2e.conftest import APRIL, Stack
from tests.e2e.stack import NAME

pytestmark = pytest.mark.e2e

ADMINISTRATOR = {
    "ARM_CLIENT_ID": identity.ADMINISTRATOR_CLIENT_ID,
    "ARM_CLIENT_SECRET": identity.ADMINISTRATOR_SECRET,
}
NOBODY = {"ARM_TENANT_ID": "", "ARM_CLIENT_ID": "", "ARM_CLIENT_SECRET": ""}


def configure(stack: Stack, **values: str) -> None:
    """Write keys of the azuread provider into the stack's file."""
    file = stack.place.project / f"Pulumi.{NAME}.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"].update({f"azuread:{key}": value for key, value in values.items()})
    file.write_text(yaml.safe_dump(document))


def test_a_refused_sign_in_is_one_sentence(stack: Stack) -> None:
    """What each refusal is called is a table in tests/provisioning/entra/test_sign_in_settings.py."""
    said = stack.up(ok=False, extra={"ARM_CLIENT_SECRET": "wrong-secret-of-the-test"})
    words = f"(tenant {identity.TENANT_ID}, which ARM_TENANT_ID names) failed: AADSTS7000215: Wrong client secret."
    assert words in said
    assert "Traceback" not in said
    assert "wrong-secret-of-the-test" not in said
    # The engine shows what the provider said as well.
    assert len({line.partition("error: ")[2] for line in said.splitlines() if "The sign-in to" in line}) == 1, said
    for added in ("an unhandled error", "Resource monitor", "context canceled"):
        assert added not in said
    assert stack.applications == []


def test_a_rotation_signs_in_by_the_stacks_own_configuration(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    configure(
        stack,
        tenantId=identity.TENANT_ID,
        clientId=identity.DEPLOYER_CLIENT_ID,
        clientSecret=identity.DEPLOYER_SECRET,
    )
    # A refresh signs in as the last run did, unless the program says how.
    stack.up("--run-program", extra={**APRIL, **NOBODY})
    assert len(stack.applications[0]["passwordCredentials"]) == 2
    assert stack.credentials == (stack.outputs["clientId"], stack.outputs["clientSecret"])


def owners(stack: Stack) -> list[set[str]]:
    """Who owns the application, and who its service principal."""
    held, application = holdings.entra(stack.place), stack.applications[0]
    principal = next(one for one in held["servicePrincipals"] if one["appId"] == application["appId"])
    return [set(held["owners"][one["id"]]) for one in (application, principal)]


def test_a_run_by_somebody_else_locks_nobody_out(deployed: Stack) -> None:
    both = {identity.DEPLOYER_OBJECT_ID, identity.ADMINISTRATOR_OBJECT_ID}
    deployed.up(extra=ADMINISTRATOR)
    assert owners(deployed) == [both, both]

    deployed.set("applicationName", "renamed by the deployer")
    deployed.set("formerOwners", [identity.ADMINISTRATOR_OBJECT_ID])
    deployed.up()
    assert deployed.applications[0]["displayName"] == "renamed by the deployer"
    assert owners(deployed) == [{identity.DEPLOYER_OBJECT_ID}] * 2
