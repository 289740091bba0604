"""`prune`: what interrupted runs of a stack left behind in Entra ID, shown or removed."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.cli.common import Stack, errors_as_sentences, if_interrupted, words
from provisioning.entra.ownership import made_by
from provisioning.entra.sign_in_settings import NAMESPACE, use_configuration, use_tenant
from provisioning.errors import ProvisioningError
from provisioning.foreign import counted, quoted
from provisioning.program.last_state import read_state
from provisioning.pulumi_cli import Pulumi

NOT_OURS = "not this stack's by its owners: it is not removed"

UNKNOWN, AGAIN = "It is unknown whether", "Run the command again: it reads first what is there."


def prune(
    stack: Stack = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only shown.")] = False,
    application: Annotated[
        str | None,
        typer.Option(
            "--application",
            metavar="OBJECT_ID",
            help="Also remove this duplicate of the application, by its object id.",
        ),
    ] = None,
) -> None:
    """Remove what an interrupted run of this stack left behind in Entra ID; never anyone else's.

    With --yes it removes orphaned client secrets. A duplicate of the application, which a lost answer to its creation
    leaves, is removed only if it is named, and if it has no other owners than the stack's application.
    """
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports
    from provisioning.status import read  # noqa: PLC0415 - not for --help

    with errors_as_sentences(stack):
        engine = Pulumi(stack)
        state = engine.export()
        deployed = read_state(state.outputs)
        use_configuration(engine.configuration_of(NAMESPACE))
        use_tenant(deployed.tenant_id)
        own = deployed.object_id
        if own is None:
            raise ProvisioningError("This stack has no application yet. Run `pulumi up`.")
        orphans = read.unknown_secrets(state, directory.stored_secrets(own) or (), engine).orphans
        for orphan in orphans:
            if yes:
                if_interrupted(f"{UNKNOWN} {orphan} was removed. {AGAIN}")
                directory.remove_secret(own, orphan.key_id)
                if_interrupted(f"What is listed as removed is gone. {AGAIN}")
            words.print(f"• {'Removed' if yes else 'Orphaned secret'}: {orphan}")
        duplicates = read.find_duplicates(state)
        if application is not None and application not in duplicates:
            raise ProvisioningError(
                f"{quoted(application)} is no duplicate of this stack's application; nothing more was removed."
            )
        owners = {object_id: directory.application_owners(object_id) for object_id in duplicates}
        own_owners = read.recorded_owners(state)
        if application is not None and not made_by(owners[application], own_owners):
            raise ProvisioningError(
                f"{quoted(application)} has this stack's tag, which anybody may set, but not the owners of its "
                f"application: it is owned by {counted(map(str, owners[application])) or 'nobody'}. Nothing more was "
                "removed. If you know that nobody needs it, remove it in Entra ID: App registrations → Delete."
            )
        for object_id, name in duplicates.items():
            removed = yes and object_id == application
            if removed:
                if_interrupted(f"{UNKNOWN} {quoted(name)} ({quoted(object_id)}) was removed. {AGAIN}")
                directory.remove_application(object_id)
                if_interrupted(f"What is listed as removed is gone. {AGAIN}")
            told = "" if made_by(owners[object_id], own_owners) else f", {NOT_OURS}"
            words.print(
                f"• {'Removed' if removed else 'Duplicate application'}: {quoted(name)} ({quoted(object_id)}), "
                f"owned by {counted(map(str, owners[object_id])) or 'nobody'}{told}"
            )
        if not orphans and not duplicates:
            words.print("There is nothing to remove: no orphaned secret and no duplicate application.")
        elif not yes:
            if orphans:
                words.print("To remove secrets: `python -m provisioning prune --yes`")
            if duplicates:
                words.print(
                    "To remove a duplicate, too: `python -m provisioning prune --application <object id> --yes`"
                )
