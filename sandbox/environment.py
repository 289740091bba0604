"""The environment variables with which plain `pulumi` commands work on the sandbox."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from sandbox.certificates import certificates
from sandbox.engine.find import Engine, Origin
from sandbox.engine.tools import environment as engine_environment
from sandbox.engine.versions import parse
from sandbox.entra import identity
from sandbox.nocobase import server
from sandbox.place import Place
from sandbox.setup import load_record


def environment(place: Place, administrator: bool = False) -> dict[str, str]:
    """Variables to add to a shell's own: engine and state, Entra ID's stand-in as the tenant, the login to NocoBase.

    administrator: whether the tenant's administrator signs in instead of the deployer.
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
        "ARM_CLIENT_ID": identity.ADMINISTRATOR_CLIENT_ID if administrator else identity.DEPLOYER_CLIENT_ID,
        "ARM_CLIENT_SECRET": identity.ADMINISTRATOR_SECRET if administrator else identity.DEPLOYER_SECRET,
        "AZURE_AUTHORITY_HOST": f"https://localhost:{record.entra_port}",
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "NOCOBASE_API_KEY": server.api_key(place),
    }


def as_shell(variables: dict[str, str]) -> str:
    """`variables` as lines for `eval`."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def as_unset(variables: Mapping[str, str], place: Place, path: str) -> str:
    """Lines for `eval` that take `variables` out of a shell again, and the sandbox's own folders out of its `path`."""
    own = (place.home.resolve(), place.cache.resolve())
    rest = [
        entry for entry in path.split(os.pathsep) if not any(Path(entry).resolve().is_relative_to(it) for it in own)
    ]
    names = " ".join(name for name in variables if name != "PATH")
    return f"unset {names}\nexport PATH={shlex.quote(os.pathsep.join(rest))}"
