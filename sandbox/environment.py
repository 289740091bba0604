"""The environment variables with which plain `pulumi` commands work on the sandbox."""

from __future__ import annotations

import shlex
from pathlib import Path

from sandbox.certificates import certificates
from sandbox.engine.find import Engine, Origin
from sandbox.engine.tools import environment as engine_environment
from sandbox.engine.versions import parse
from sandbox.entra import identity
from sandbox.nocobase import server
from sandbox.place import Place
from sandbox.setup import load_record


def environment(place: Place) -> dict[str, str]:
    """Variables to add to a shell's own: engine and state, Entra ID's stand-in as the tenant, the login to NocoBase.

    Raises SandboxError if the sandbox was never started.
    """
    record = load_record(place)
    version = parse(record.engine)
    assert version is not None
    engine = Engine(Path(record.cli), version, Origin.PATH, bundled_host=False)
    bundle = str(certificates(place).bundle)
    return {
        **engine_environment(place, engine, acquire_plugins=record.official_azuread),
        "ARM_METADATA_HOSTNAME": f"localhost:{record.entra_port}",
        "ARM_TENANT_ID": identity.TENANT_ID,
        "ARM_CLIENT_ID": identity.DEPLOYER_CLIENT_ID,
        "ARM_CLIENT_SECRET": identity.DEPLOYER_SECRET,
        "AZURE_AUTHORITY_HOST": f"https://localhost:{record.entra_port}",
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "NOCOBASE_API_KEY": server.api_key(place),
    }


def as_shell(variables: dict[str, str]) -> str:
    """`variables` as lines for `eval`."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
