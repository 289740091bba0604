"""`adopt`: bring an application that was made by hand under the stack, and keep what works."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provisioning import pins
from provisioning.cli.common import (
    Format,
    Output,
    Stack,
    can_be_asked,
    errors_as_sentences,
    if_interrupted,
    in_words,
    now,
    show,
    show_rows,
    words,
)
from provisioning.entra.sign_in_settings import NAMESPACE, use_configuration
from provisioning.entra.tags import stack_tag
from provisioning.errors import AdoptionRejected, NocoBaseError, SettingsError
from provisioning.foreign import listed, quoted
from provisioning.nocobase.installation import MAIN
from provisioning.nocobase.login import missing_login, stored_logins
from provisioning.pulumi_cli import Pulumi
from provisioning.pulumi_events import StepBegun
from provisioning.resource_types import APPLICATION_NAME, APPLICATION_TYPE, COMPONENT_TYPE, PRINCIPAL_TYPE
from provisioning.waiting import waiting_for

if TYPE_CHECKING:
    from provisioning.adopt.plan import Adoption, InNocoBase, Line
    from provisioning.entra.registration import Candidate, Found
    from provisioning.program.settings import Settings

PROTECT = "protectApplication"
"""The setting that has `pulumi destroy` refuse to remove the application."""

LET_GO = "`pulumi state delete --all --force` undoes the adoption and leaves Entra ID as it is."

HINT = 3
"""How many characters of a client secret Entra ID shows, in Graph's `hint`."""

EXPECTED = {"create", "update", "read", "import"}
"""What the first `pulumi up` after an adoption may do to a resource."""


def adopt(
    client_id: Annotated[
        str | None,
        typer.Argument(metavar="CLIENT_ID", help="The application's client ID; without it, candidates are listed."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="PART", help="List those in whose name this is, instead of applicationName."),
    ] = None,
    stack: Stack = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, and without a terminal, only show.")] = False,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="Do it although something cannot be kept.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="WORD",
            help="A word that the plan shows: keep what it stands for, which others could use; repeatable.",
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Bring an application that was made by hand under this stack, and keep what works.

    Shows what is there beside what the stack will declare, and what others could use; each of that has to be accepted.
    Then it writes settings, and imports application and service principal into the state. It changes nothing in Entra
    ID or NocoBase: the next `pulumi up` does.
    """
    with errors_as_sentences(stack):
        engine = Pulumi(stack)
        use_configuration(engine.configuration_of(NAMESPACE))
        name = engine.identity()
        config, secret_keys = engine.configuration()
        settings = _settings(config, secret_keys)
        if client_id is None or search is not None:
            _list(settings, config, search=search, stack=name, has=_own_client_id(engine), output=output)
            return
        has = _adopted_before(engine, client_id)
        found, plan = _plan(settings, config, client_id, name)
        wanted = _wanted(found, has)
        if not wanted:
            words.print("This stack has this application already; there is nothing to adopt.")
            return
        _show(plan, output)
        for warning in [*plan.warnings, *plan.losses]:
            words.print(f"! {warning}", style="yellow")
        _tell_risks(plan)
        _tell_what_comes(plan, found)
        _reject_settings({**config, **plan.config}, secret_keys)
        words_given = accept or []
        command = _command(plan, client_id, stack)
        if not _agreed(plan, command, yes, accept_losses, words_given):
            return
        if_interrupted(
            "Nothing in Entra ID or NocoBase was changed; the stack's settings, and its state, may be. To resume: "
            f"python -m provisioning adopt {client_id}"
        )
        # Somebody made it by hand, and may rely on it: `destroy` must not take it along.
        engine.configure({**plan.config, PROTECT: "true"})
        _, project, stack_name = name.split("/")
        parent = f"urn:pulumi:{stack_name}::{project}::{COMPONENT_TYPE}::{wanted[0]['logicalName']}"
        engine.adopt(wanted, {"component": parent} if COMPONENT_TYPE in has else {})
        words.print("The stack has the application. Nothing in Entra ID or NocoBase was changed.")
        words.print(f"It is protected: `pulumi destroy` refuses to remove it ({PROTECT}). {LET_GO}")
        if_interrupted("To see what `pulumi up` will do: pulumi preview")
        _tell_next(engine)


def _settings(config: Mapping[str, str], secret_keys: Collection[str]) -> Settings:
    from provisioning.program.validation import validate  # noqa: PLC0415 - pydantic-settings is not for `--help`

    settings, problems = validate(config, secret_keys)
    if settings is None:
        raise SettingsError(problems)
    return settings


def _reject_settings(config: Mapping[str, str | list[str]], secret_keys: Collection[str]) -> None:
    """Raise AdoptionRejected if the settings that keep what is there would be rejected by the next `pulumi up`."""
    from provisioning.program.validation import validate  # noqa: PLC0415 - as above

    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    _, problems = validate(values, secret_keys)
    if problems:
        told = (f"  {problem.named}: {problem.why}" for problem in problems)
        raise AdoptionRejected(
            "What the application has would be rejected as settings of this stack; nothing was changed. Change it in "
            "Entra ID, then run the same command again.\n" + "\n".join(told)
        )


def _list(
    settings: Settings, config: Mapping[str, str], search: str | None, stack: str, has: str | None, output: Format
) -> None:
    """Print the applications that may be meant; those of other stacks than `stack` apart, as they cannot be.

    has: the client ID of the application that the stack has, which is left out; None if it has none.
    """
    from provisioning.adopt.plan import find_candidates  # noqa: PLC0415 - not for `--help`
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    name = search or settings.application_name
    candidates = find_candidates(
        directory.applications(), name, settings.redirect_uris, _in_nocobase(settings, config).client_id
    )
    found = [item for item in candidates if item.client_id != has]
    if output is Format.JSON:
        show_rows([_candidate(item, output) for item in found], output)
    own = [item for item in found if item.stack in (None, stack)]
    if not own and has:
        words.print(f"There is no other application; this stack has {quoted(has)} already.")
    elif not own:
        words.print(
            f"No application that may be adopted has the text {quoted(name)} in its name, sends users to this "
            "NocoBase, or is known to it. To look for others:\n"
            "    python -m provisioning adopt --search <part of the name>"
        )
    elif output is not Format.JSON:
        show_rows([_candidate(item, output) for item in own], output)
    if others := [item for item in found if item not in own]:
        words.print("These have the tag of another stack, and are rejected:")
        if output is not Format.JSON:
            show_rows([_candidate(item, output, apart=True) for item in others], output)
    if own:
        words.print(
            "Name and tags prove nothing. Only if you know who made one; its owners are shown first:\n"
            "    python -m provisioning adopt <client ID>"
        )


def _candidate(item: Candidate, output: Format, apart: bool = False) -> dict[str, object]:
    """One line of the list: all of it for a program; for a person the day, and the stack of those that stand apart."""
    if output is Format.JSON:
        created = item.created and item.created.isoformat(timespec="seconds")
        return {
            "clientId": item.client_id,
            "name": item.name,
            "why": item.why,
            "stack": item.stack or "none",
            "created": created,
        }
    shown = {"client ID": item.client_id, "name": item.name, "why": item.why}
    created = item.created and item.created.astimezone(UTC).date().isoformat()
    return {**shown, **({"stack": item.stack} if apart else {}), "created": created}


def _in_nocobase(settings: Settings, config: Mapping[str, str]) -> InNocoBase:
    """What NocoBase holds, and the sign-in link that it makes of that; nothing where it does not tell.

    config: the stack's, secrets in the clear.
    """
    from provisioning.adopt.plan import InNocoBase  # noqa: PLC0415 - not for `--help`
    from provisioning.nocobase import push  # noqa: PLC0415 - as above
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - as above

    login = stored_logins(config).first([MAIN])
    if login is None:
        words.print(f"! NocoBase was not asked. {missing_login().why}", style="yellow")
        return InNocoBase()
    mapping = settings.nocobase_mapping.mapping
    try:
        if settings.nocobase_config_file:
            from provisioning.nocobase3 import look  # noqa: PLC0415 - as above

            name = settings.nocobase_mail_provider
            found = look.held(settings.nocobase_config_file, name)
            own = look.secrets_of(found)
            link = look.link(settings.nocobase_url, name, login, own) if found.client_id else None
            return InNocoBase(found.client_id or None, link, found.client_secret[:HINT] or None, found.elsewhere)
        with NocoBaseClient(settings.nocobase_url, settings.nocobase_app, login) as nocobase:
            reading = push.read(nocobase, mapping)
            held = reading.client_id
            # Without credentials it has no link.
            begins = (reading.client_secret or "")[:HINT] or None
            return InNocoBase(held or None, push.sign_in(nocobase, mapping) if held else None, begins)
    except NocoBaseError as error:
        words.print(f"! NocoBase was not asked: {error}", style="yellow")
        return InNocoBase()


def _own_client_id(engine: Pulumi) -> str | None:
    """The client ID of the application that the stack has; None if it has none, or is not deployed."""
    return _client_id(engine.export().outputs)


def _client_id(resources: Mapping[tuple[str, str], Mapping[str, Any]]) -> str | None:
    return resources.get((APPLICATION_TYPE, APPLICATION_NAME), {}).get("clientId")


def _adopted_before(engine: Pulumi, client_id: str) -> set[str]:
    """Which types of the resources to import the state has, from an interrupted adoption.

    Raises AdoptionRejected if its application is another one.
    """
    resources = engine.export().outputs
    own = _client_id(resources)
    if own not in (None, client_id):
        raise AdoptionRejected(
            f"This stack has an application of its own already (client ID {own}). Adopt into a new stack "
            "(`pulumi stack init`), or have this stack remove its own first (`pulumi destroy`)."
        )
    return {kind for kind, _ in resources} & {COMPONENT_TYPE, APPLICATION_TYPE, PRINCIPAL_TYPE}


def _plan(settings: Settings, config: Mapping[str, str], client_id: str, name: str) -> tuple[Found, Adoption]:
    from provisioning.adopt.plan import Caller, plan_adoption  # noqa: PLC0415 - not for `--help`
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - seconds of imports
    from provisioning.entra.account import account_of, read_claims  # noqa: PLC0415 - as above
    from provisioning.entra.consent import reject_other_consent  # noqa: PLC0415 - as above

    found = directory.look_up(client_id)
    if found is None:
        raise AdoptionRejected(
            f"This tenant has no application of client ID {client_id}. It is neither the object id nor a secret's id; "
            "`python -m provisioning adopt` lists candidates."
        )
    if settings.tenant_consent and found.principal is not None:
        reject_other_consent(settings.scopes, directory.tenant_consent(str(found.principal["id"])))
    account = account_of(read_claims(microsoft_graph.caller_token()))
    caller = Caller(account.object_id, account.tenant_id)
    there = _in_nocobase(settings, config)
    return found, plan_adoption(found, settings, caller, stack_tag=stack_tag(*name.split("/")), now=now(), there=there)


def _tell_risks(plan: Adoption) -> None:
    """Say where the application comes from, and what others could use in it."""
    words.print(plan.origin, style="bold")
    for risk in plan.risks:
        words.print(f"! {risk.said} To keep them: --accept {risk.word}", style="bold red")


def _tell_what_comes(plan: Adoption, found: Found) -> None:
    """Say what the adoption itself does, and what the run after it does."""
    from provisioning.adopt.next_run import next_run  # noqa: PLC0415 - not for `--help`

    written = listed([*plan.config, PROTECT])
    words.print("What the adoption does", style="bold")
    words.print(f"  • It writes the settings {written}, and takes application and service principal into the state.")
    words.print("  • It changes nothing in Entra ID or NocoBase.")
    words.print("What the next `pulumi up` does", style="bold")
    for sentence in next_run(plan, found):
        words.print(f"  • {sentence}")


def _command(plan: Adoption, client_id: str, stack: str | None) -> str:
    """The command that adopts without a question and accepts all that `plan` shows."""
    parts = ["python", "-m", "provisioning", "adopt", client_id, *(["--stack", stack] if stack else []), "--yes"]
    parts += ["--accept-losses"] if plan.losses else []
    return shlex.join([*parts, *(part for risk in plan.risks for part in ("--accept", risk.word))])


def _agreed(plan: Adoption, command: str, yes: bool, accept_losses: bool, accepted: Sequence[str]) -> bool:
    """Whether to go on; says by which command, if nobody can be asked.

    accepted: words of risks. Raises AdoptionRejected for losses and risks that nobody accepts.
    """
    risks = [risk for risk in plan.risks if risk.word not in accepted]
    only_if = "Only if you know who made it" if plan.risks else "To adopt it"
    if plan.losses and not accept_losses:
        raise AdoptionRejected(
            "Something cannot be kept; nothing was changed. To adopt it all the same, add --accept-losses."
        )
    if yes and risks:
        missing = ", ".join(risk.word for risk in risks)
        raise AdoptionRejected(
            f"--yes does not accept what others could use ({missing}); nothing was changed. {only_if}:\n    {command}"
        )
    if yes:
        return True
    if not can_be_asked():
        words.print(f"Nothing was changed. {only_if}:\n    {command}")
        return False
    for risk in risks:
        if not typer.confirm(f"Keep what {risk.word} stands for, which others could use?", err=True):
            return False
    return typer.confirm("Adopt it?", err=True)


def _wanted(found: Found, has: set[str]) -> list[dict[str, Any]]:
    """What is to be imported but for what the state has: the component, the application, its service principal."""
    wanted: list[dict[str, Any]] = [
        {"type": COMPONENT_TYPE, "name": "component", "component": True},
        {"type": APPLICATION_TYPE, "name": "application", "id": f"/applications/{found.application['id']}"},
    ]
    if found.principal is not None:
        principal = f"/servicePrincipals/{found.principal['id']}"
        wanted.append({"type": PRINCIPAL_TYPE, "name": "principal", "id": principal})
    # The version that the program asks for; with another one there would be two providers.
    child = {"parent": "component", "version": pins.version(pins.PLUGIN)}
    return [
        {**resource, **({} if "component" in resource else child), "logicalName": APPLICATION_NAME}
        for resource in wanted
        if resource["type"] not in has
    ]


def _show(plan: Adoption, output: Format) -> None:
    """Print what is there and what will be; for people what stays the same is said once."""
    if output is Format.TABLE:
        facts: dict[str, object] = {}
        for line in plan.lines:
            facts[line.property] = "; ".join([*filter(None, [str(facts.get(line.property, ""))]), _told(line)])
        show(facts, output)
        return
    same = "the same" if output is Format.MARKDOWN else None
    show_rows(
        [{**asdict(line), "after": same if same and line.after == line.there else line.after} for line in plan.lines],
        output,
    )


def _told(line: Line) -> str:
    there, after = in_words(line.there), in_words(line.after)
    if isinstance(line.there, list) and isinstance(line.after, list) and line.there:
        added = [item for item in line.after if item not in line.there]
        return f"{there}{f' + {in_words(added)}' if added else ''} ({line.how})"
    return f"{there if there == after else f'{there} → {after}'} ({line.how})"


def _tell_next(engine: Pulumi) -> None:
    """Say what the next `pulumi up` does. Raises AdoptionRejected if that is more than an adoption should need."""
    with waiting_for("`pulumi preview`"):
        preview = engine.operate("preview")
    if not preview.succeeded:
        words.print("! `pulumi preview` failed: " + "\n".join(preview.errors), style="yellow")
        words.print("Correct that, then run: pulumi preview")
        return
    steps = [event for event in preview.events if isinstance(event, StepBegun) and event.is_change]
    for step in steps:
        changed = f": {listed(step.changed)}" if step.changed else ""
        words.print(f"  {step.words}{changed}")
    surprises = [step.urn for step in steps if step.operation not in EXPECTED]
    if surprises:
        raise AdoptionRejected(
            f"`pulumi up` would replace or delete something: {listed(surprises)}. Do not run it. {LET_GO}"
        )
    words.print("That is what `pulumi up` will do. Next: pulumi up")
