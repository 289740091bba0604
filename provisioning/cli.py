"""The commands beside `pulumi`: `python -m provisioning …`. Data goes to stdout, words to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from provisioning.errors import ProvisioningError
from provisioning.pulumi_cli import APPLICATION_TYPE, PASSWORD_TYPE, Pulumi

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
secrets_app = typer.Typer(no_args_is_help=True, help="The client secrets in Entra ID, orphans among them.")
app.add_typer(secrets_app, name="secrets")
words = Console(stderr=True, highlight=False, soft_wrap=True)

Stack = Annotated[str | None, typer.Option("--stack", "-s", help="The stack; without it, the selected one.")]


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--format", help="How to print it.")]
MOST_RUNS = 3
"""A rotation takes one run, or two where a slot has to be freed first; one more shows that nothing is left to do."""


@app.callback()
def commands() -> None:
    """Outlook mail for NocoBase: what `pulumi up` does not do by itself."""


@app.command()
def rotate(
    stack: Stack = None,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="The present secret has leaked: remove it as soon as the new one is in use."
        ),
    ] = False,
) -> None:
    """Issue a new client secret now, by `pulumi up`. Safe to repeat: a rotation that broke off is gone on with."""
    with _errors_as_sentences():
        engine = Pulumi(stack)
        key = "compromisedBefore" if compromised else "rotateRequestedAt"
        asked = _pending(engine.config(key), _deployed(engine))
        if asked is None:
            asked = _now().replace(microsecond=0)
            engine.set_config(key, asked.strftime("%Y-%m-%dT%H:%M:%SZ"))
        for _ in range(MOST_RUNS):
            engine.up()
            outputs = _deployed(engine)
            if _fulfilled(asked, outputs, compromised):
                break
        else:
            raise ProvisioningError("The rotation is not complete yet. Repeat this command.")
        words.print(f"NocoBase uses a new client secret, valid until {outputs['clientSecretExpiry']}.")
        if outputs.get("oldSecretRetires"):
            words.print(f"The old one is removed by the first `pulumi up` after {outputs['oldSecretRetires']}.")


@app.command()
def status(
    stack: Stack = None,
    output: Output = Format.TABLE,
) -> None:
    """When the client secret expires, when the next one is due, and when the old one is removed."""
    with _errors_as_sentences():
        outputs = _deployed(Pulumi(stack))
        ends = datetime.fromisoformat(outputs["clientSecretExpiry"])
        facts = {
            "clientId": outputs["clientId"],
            "clientSecretExpiry": outputs["clientSecretExpiry"],
            "daysLeft": (ends - _now()).days,
            "nextRotation": outputs["nextRotation"],
            "oldSecretRetires": outputs.get("oldSecretRetires"),
            "redirectUri": outputs["redirectUri"],
        }
        _show(facts, output)


@secrets_app.command("list")
def list_secrets(stack: Stack = None, output: Output = Format.TABLE) -> None:
    """List the application's client secrets in Entra ID, which of them this stack knows, and its twins."""
    with _errors_as_sentences():
        engine = Pulumi(stack)
        sorted_out = _sorted_out(engine, _object_id(engine))
        secrets = {secret.key_id: {"name": secret.display_name, "is": kind} for secret, kind in sorted_out}
        twins = {key: {"name": name, "is": "twin of the application"} for key, name in _twins(engine).items()}
        _show(secrets | twins, output)


@secrets_app.command()
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

    with _errors_as_sentences():
        engine = Pulumi(stack)
        own = _object_id(engine)
        orphans = [secret for secret, kind in _sorted_out(engine, own) if kind == "orphan"]
        for orphan in orphans:
            if yes:
                directory.remove_secret(own, orphan.key_id)
            words.print(f"{'Removed' if yes else 'Orphan'}: {orphan.display_name} ({orphan.key_id})")
        twins = _twins(engine)
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


def _twins(engine: Pulumi) -> dict[str, str]:
    """Applications with this stack's tag that its state does not know: object id → display name."""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    own = engine.resources(APPLICATION_TYPE)
    tags = [tag for item in own for tag in item.get("tags") or [] if tag.startswith("pulumi:")]
    known = {item["objectId"] for item in own}
    found = directory.applications_tagged(tags[0]) if tags else {}
    return {object_id: name for object_id, name in found.items() if object_id not in known}


def _sorted_out(engine: Pulumi, object_id: str) -> list[tuple[Any, str]]:
    """Every client secret in Entra ID, and whether it is known to the state, an orphan, or somebody else's."""
    from provisioning.entra import directory, room  # noqa: PLC0415 - seconds of imports
    from provisioning.settings import Settings  # noqa: PLC0415 - as above

    passwords = engine.resources(PASSWORD_TYPE)
    description = engine.config("secretDescription") or Settings.model_fields["secret_description"].default
    names = room.descriptions((str(item["displayName"]) for item in passwords), description)
    known = {str(item["keyId"]) for item in passwords}
    stored = directory.stored_secrets(object_id)
    found = room.find_room(stored, known, names)
    kinds = {secret: "orphan" for secret in found.orphans} | {secret: "foreign" for secret in found.foreign}
    return [(secret, kinds.get(secret, "known")) for secret in stored]


def _deployed(engine: Pulumi) -> dict[str, Any]:
    """The outputs of a stack that was deployed."""
    outputs = engine.outputs()
    if "clientSecretIssued" not in outputs:
        raise ProvisioningError("This stack has not been deployed to its end yet. Run `pulumi up` first.")
    return outputs


def _object_id(engine: Pulumi) -> str:
    applications = engine.resources(APPLICATION_TYPE)
    if not applications:
        raise ProvisioningError("This stack has no application yet. Run `pulumi up`.")
    return str(applications[0]["objectId"])


def _pending(asked: str | None, outputs: dict[str, Any]) -> datetime | None:
    """The time of an earlier request that was not carried out to its end; None if there is none."""
    if not asked:
        return None
    moment = datetime.fromisoformat(asked)
    return None if datetime.fromisoformat(outputs["clientSecretIssued"]) >= moment else moment


def _fulfilled(asked: datetime, outputs: dict[str, Any], compromised: bool) -> bool:
    issued = datetime.fromisoformat(outputs["clientSecretIssued"])
    return issued >= asked and not (compromised and outputs.get("oldSecretRetires"))


def _now() -> datetime:
    from provisioning import stack as engine_stack  # noqa: PLC0415 - it needs the whole SDK

    return engine_stack.now().astimezone(UTC)


def _show(facts: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, ", ".join(map(str, value.values())) if isinstance(value, dict) else str(value or "none"))
    Console(highlight=False).print(table)


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    try:
        yield
    except ProvisioningError as error:
        words.print(str(error), markup=False, style="red")
        raise typer.Exit(1) from None
