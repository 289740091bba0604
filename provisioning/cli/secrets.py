"""`secrets`: what Entra ID holds for this stack, and the removal of what nobody knows any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.cli.common import Format, Output, Stack, errors_as_sentences, show_rows, words
from provisioning.entra.sign_in_settings import TENANT, use_tenant
from provisioning.errors import ProvisioningError
from provisioning.pulumi_cli import Checkpoint, Pulumi
from provisioning.resource_types import APPLICATION_TYPE, PASSWORD_TYPE, STACK_TYPE

if TYPE_CHECKING:
    from provisioning.entra.orphans import StoredSecret

app = typer.Typer(no_args_is_help=True, help="The client secrets in Entra ID, orphans among them.")


@app.command("list")
def list_secrets(stack: Stack = None, output: Output = Format.TABLE) -> None:
    """List the application's client secrets in Entra ID, which of them this stack knows, and its twins."""
    with errors_as_sentences():
        engine = Pulumi(stack)
        state = engine.export()
        _use_tenant_of(state, engine)
        sorted_out = _sorted_out(state, engine.config("secretDescription"))
        secrets = [{"id": secret.key_id, "name": secret.display_name, "is": kind} for secret, kind in sorted_out]
        twins = [{"id": key, "name": name, "is": "twin of the application"} for key, name in _twins(state).items()]
        show_rows(secrets + twins, output)


@app.command()
def prune(
    stack: Stack = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only shown.")] = False,
    application: Annotated[
        str | None, typer.Option("--application", help="Also remove this twin of the application, by its object id.")
    ] = None,
) -> None:
    """Remove what a broken-off run of this stack left behind in Entra ID; never anyone else's.

    Orphaned client secrets go with --yes. A twin of the application, which a lost answer to its creation leaves, goes
    only if it is named.
    """
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    with errors_as_sentences():
        engine = Pulumi(stack)
        state = engine.export()
        _use_tenant_of(state, engine)
        own = _object_id(state)
        sorted_out = _sorted_out(state, engine.config("secretDescription"))
        orphans = [secret for secret, kind in sorted_out if kind == "orphan"]
        for orphan in orphans:
            if yes:
                directory.remove_secret(own, orphan.key_id)
            words.print(f"{'Removed' if yes else 'Orphan'}: {orphan.display_name} ({orphan.key_id})")
        twins = _twins(state)
        if application is not None and application not in twins:
            raise ProvisioningError(f"{application} is no twin of this stack's application; nothing more was removed.")
        for object_id, name in twins.items():
            removed = yes and object_id == application
            if removed:
                directory.remove_application(object_id)
            words.print(f"{'Removed' if removed else 'Twin of the application'}: {name} ({object_id})")
        if not orphans and not twins:
            words.print("There are no orphans.")
        elif not yes:
            words.print("To remove secrets: the same command with --yes; a twin: --application <object id> --yes.")


def _use_tenant_of(state: Checkpoint, engine: Pulumi) -> None:
    """After a first run that broke off there are no outputs yet."""
    told = next((outputs.get("tenantId") for outputs in state.outputs_of(STACK_TYPE)), None)
    use_tenant(told or engine.config_of(TENANT))


def _twins(state: Checkpoint) -> dict[str, str]:
    """Applications with this stack's tag that its state does not know: object id → display name."""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    own = state.outputs_of(APPLICATION_TYPE)
    tags = [tag for item in own for tag in item.get("tags") or [] if tag.startswith("pulumi:")]
    known = {item["objectId"] for item in own}
    found = directory.applications_tagged(tags[0]) if tags else {}
    return {object_id: name for object_id, name in found.items() if object_id not in known}


def _sorted_out(state: Checkpoint, description: str | None) -> list[tuple[StoredSecret, str]]:
    """Every client secret in Entra ID, and whether it is known to the state, an orphan, or somebody else's."""
    from provisioning.entra import directory, orphans  # noqa: PLC0415 - seconds of imports
    from provisioning.program.settings import Settings  # noqa: PLC0415 - as above

    passwords = state.outputs_of(PASSWORD_TYPE)
    current = description or Settings.model_fields["secret_description"].default
    names = orphans.descriptions((str(item["displayName"]) for item in passwords), current)
    known = {str(item["keyId"]) for item in passwords}
    stored = directory.stored_secrets(_object_id(state))
    found = orphans.find_room(stored, known, names)
    kinds = {secret: "orphan" for secret in found.orphans} | {secret: "foreign" for secret in found.foreign}
    return [(secret, kinds.get(secret, "known")) for secret in stored]


def _object_id(state: Checkpoint) -> str:
    applications = state.outputs_of(APPLICATION_TYPE)
    if not applications:
        raise ProvisioningError("This stack has no application yet. Run `pulumi up`.")
    return str(applications[0]["objectId"])
