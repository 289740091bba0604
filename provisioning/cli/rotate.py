"""`rotate`: a new client secret now, and the steps that matter while it is made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any

import typer

from provisioning.cli.common import (
    Stack,
    can_be_asked,
    deployed,
    ended_by_signals,
    errors_as_sentences,
    if_interrupted,
    now,
    words,
)
from provisioning.errors import EngineFailed, ProvisioningError
from provisioning.foreign import quoted
from provisioning.pulumi_cli import Engines, Pulumi, settings_file
from provisioning.pulumi_events import REFRESH, SAME, Diagnostic, Event, StepBegun, StepEnded
from provisioning.resource_types import PASSWORD_TYPE, PUSH_TYPE
from provisioning.waiting import waiting_for

MOST_RUNS = 3
"""A rotation takes one run, or two where a slot has to be freed first; one more shows that nothing is left to do."""

ENDING = "Ending: `pulumi up` finishes its present step, and no other begins."


def rotate(
    stack: Stack = None,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="The present secret has leaked: remove it as soon as the new one is in use."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a secret is removed at once.")] = False,
) -> None:
    """Issue a new client secret now, by `pulumi up`. Safe to repeat: an interrupted rotation is resumed.

    With --compromised it asks first, unless --yes says so; without a terminal it ends with the command then.
    """
    with errors_as_sentences(stack):
        engines = Engines()
        engine = Pulumi(stack, engines=engines)
        name = engine.name()
        key = "compromisedBefore" if compromised else "rotateRequestedAt"
        outputs = deployed(engine)
        asked = _pending(key, engine.config(key), outputs)
        if compromised and not yes and not _agreed(name, outputs):
            return
        taken_back = f"To take it back, if no new secret was issued yet: `pulumi config rm {key} --stack {name}`"
        # Before it is set: Ctrl-C does not end `pulumi config set`.
        file = settings_file(name)
        if_interrupted(f"The request stays in {file}: the next `pulumi up` resumes this rotation. {taken_back}")
        if asked is None:
            asked = now().replace(microsecond=0)
            written = asked.strftime("%Y-%m-%dT%H:%M:%SZ")
            engine.set_config(key, written)
            # A link leads to a file that is kept elsewhere.
            commit = "" if Path(file).is_symlink() else "; commit it, like any setting"
            words.print(f"Wrote {key}: {written} to {file}{commit}.")
        resumed = f"run `pulumi up --stack {name}`: it resumes this rotation. {taken_back}"
        if compromised:
            resumed = f"{resumed}\n{STILL_ACCEPTED}"
        client_id = outputs.get("clientId")
        outputs, due = _rotate(engine, engines, asked, compromised, resumed)
        _tell_end(outputs, compromised, due, another=outputs.get("clientId") != client_id)


def _agreed(stack: str, outputs: Mapping[str, Any]) -> bool:
    """Whether secrets may be removed at once. Ends the command with another one where nobody can be asked."""
    retires, waits = outputs.get("oldSecretRetires"), outputs.get("oldSecretWaitsFor")
    removed = "both client secrets" if retires or waits else "the present client secret"
    if not can_be_asked():
        words.print(f"Nothing was changed. --compromised removes {removed} at once. To do that:")
        words.print(f"  `python -m provisioning rotate --compromised --yes --stack {stack}`")
        raise typer.Exit(1)
    until = f"until {quoted(retires.partition('T')[0])}" if retires else "until NocoBase is restarted"
    before = f" The one before it, still accepted {until}, is removed first." if retires or waits else ""
    words.print(
        f"Stack {stack}: a new client secret is issued and given to NocoBase; then the present one is removed, and "
        f"whatever else uses it stops.{before} Mailboxes stay connected."
    )
    agreed = typer.confirm(f"Remove {removed}?", err=True)
    if not agreed:
        words.print("Nothing was changed.")
    return agreed


def _rotate(
    engine: Pulumi, engines: Engines, asked: datetime, compromised: bool, resumed: str
) -> tuple[dict[str, Any], bool]:
    """Run `pulumi up` until the request of `asked` is fulfilled; return the outputs, and whether a restart is due.

    resumed: what to do if this fails. Raises ProvisioningError, and EngineFailed if a run failed.
    """
    try:
        for _ in range(MOST_RUNS):
            with ended_by_signals(engines, ENDING):
                due = _up(engine, resumed)
            outputs = deployed(engine)
            if _fulfilled(asked, outputs, compromised):
                if_interrupted("The rotation is complete.")
                return outputs, due
            if engines.told_to_end:
                break
        else:
            raise ProvisioningError(f"The rotation is not complete yet. To complete it, {resumed}")
    except ProvisioningError:
        if not engines.told_to_end:
            raise
    raise KeyboardInterrupt


def _up(engine: Pulumi, resumed: str) -> bool:
    """Run `pulumi up`, and tell of its steps; return whether a NocoBase has to be restarted.

    resumed: what to do if it fails. Raises EngineFailed.
    """
    due: dict[str, bool] = {}
    with ExitStack() as step:

        def wait_for(what: str) -> None:
            step.close()
            step.enter_context(waiting_for(what))

        def follow(event: Event) -> None:
            match event:
                case StepBegun(operation, kind) if operation != SAME:
                    wait_for(WAITS.get(kind) or f"`pulumi up`: {event.words}")
                case StepEnded(operation) if operation != SAME:
                    wait_for("`pulumi up`")
                    if operation == REFRESH:  # what it shows is of an earlier run
                        return
                    due[event.urn] = bool(event.outputs.get("restart_due"))
                    if problem := event.outputs.get("problem"):
                        words.print(f"! {_time()}  {problem}", style="yellow")
                    elif due[event.urn]:
                        words.print(f"! {_time()}  {restart_in_words(event)}", style="yellow")
                    elif said := step_in_words(event):
                        words.print(f"✓ {_time()}  {said}", style="green")
                case Diagnostic(severity, message) if severity != "error":
                    words.print(indent(message.strip(), "  "), style="dim")

        wait_for("`pulumi up`")
        ended = engine.operate("up", on_event=follow)
    if not ended.succeeded:
        errors = list(ended.errors)
        if any(ANSWER_LOST in error for error in errors):
            provisioning, stack = "python -m provisioning", f"--stack {engine.name()}"
            errors.append(
                f"`{provisioning} status {stack}` shows whether a secret was left behind; "
                f"`{provisioning} prune --yes {stack}` removes it."
            )
        raise EngineFailed("\n".join([*errors, f"`pulumi up` failed. Correct what it says, then {resumed}"]))
    return any(due.values())


ANSWER_LOST = "connection may have been reset"
"""What the azuread provider says of a request whose answer it did not get: Entra ID may have carried it out."""

WAITS = {PUSH_TYPE: "Entra ID to accept the client secret, and NocoBase to use it"}
"""What is waited for while the engine works on a resource of this type."""


def step_in_words(step: StepEnded) -> str | None:
    """What a completed step means for the rotation; None if it means nothing."""
    slot = step.urn[-1:]
    if step.kind == PASSWORD_TYPE and step.operation in CREATED:
        return f"new client secret issued (slot {slot})"
    if step.kind == PASSWORD_TYPE and step.operation in REMOVED:
        return f"old client secret removed (slot {slot})"
    if step.kind == PUSH_TYPE and step.operation in (*CREATED, "update"):
        return f"accepted by Entra ID, and given to {_nocobase(step)}, which uses it"
    return None


def restart_in_words(step: StepEnded) -> str:
    """What the push into a NocoBase 3 means that has not been restarted yet."""
    return f"accepted by Entra ID, and given to {_nocobase(step)}, which uses it once it has been restarted"


def _nocobase(step: StepEnded) -> str:
    where = step.outputs.get("nocobase_url")
    return f"NocoBase at {quoted(where)}" if where else "NocoBase"


CREATED, REMOVED = ("create", "create-replacement"), ("delete", "delete-replaced")
"""The engine's operations."""


def _tell_end(outputs: dict[str, Any], compromised: bool, due: bool, another: bool) -> None:
    """Say what the person has to know next.

    due: whether a NocoBase has to be restarted first. another: whether the run had to make another application.
    """
    if due:
        used = "that of the application that is gone" if another else "the old one, which stays"
        words.print(
            f"The new client secret is valid until {quoted(outputs['clientSecretExpiry'])}. NocoBase uses {used}, "
            f"until it is restarted. {RESTART}"
        )
        if another:
            words.print(ANOTHER, style="bold yellow")
        return
    if compromised:
        words.print(f"The leaked client secret is removed (at {_time()}). {GONE}", style="bold")
    words.print(f"NocoBase uses a new client secret, valid until {quoted(outputs['clientSecretExpiry'])}.")
    if outputs.get("oldSecretRetires"):
        words.print(f"The old one is removed by the first `pulumi up` after {quoted(outputs['oldSecretRetires'])}.")
    if another:
        words.print(ANOTHER, style="bold yellow")
    else:
        words.print(TOKENS if compromised else "Mailboxes stay connected: nobody has to sign in again.")


RESTART = "Restart it, then run `pulumi up` again, which verifies the new one."
"""What is left to do for a NocoBase 3 without a command that restarts it."""

ANOTHER = (
    "The application was gone in Entra ID, and there is another one, with another client ID: every user connects the "
    "mailbox again. Before that, it needs consent like the first one: docs/consent.md."
)

STILL_ACCEPTED = (
    "Until that succeeds, the leaked client secret may still be accepted. If it cannot wait, remove that secret in "
    "Entra ID (App registrations → Certificates & secrets). Mail stops then, until `pulumi up` succeeds."
)
"""What a leak means while NocoBase, say, cannot be given another secret."""

GONE = "Nobody can sign in with it any more, once all of Entra ID's servers have learned of that, in a few minutes."

TOKENS = """\
Mailboxes stay connected: tokens that were issued before stay valid. If somebody may have tokens, too:
  → An access token works until it ends, 60 to 90 minutes after its issue. Nothing revokes it.
  → A refresh token lasts 90 days, but needs a valid client secret. To revoke those of a user: Entra ID → Users → \
the user → Revoke sessions. A new password does not revoke them. The user then connects the mailbox again.
  See docs/rotation.md."""
"""Sources: Microsoft's pages "Refresh tokens in the Microsoft identity platform" and "Access tokens"."""


def _time() -> str:
    return now().strftime("%H:%M UTC")


def _pending(key: str, asked: str | None, outputs: dict[str, Any]) -> datetime | None:
    """The time of an earlier request that was not carried out to its end; None if there is none.

    One in the future is none: no run would carry it out now. Raises ProvisioningError if the setting holds no time.
    """
    if not asked:
        return None
    try:
        moment = datetime.fromisoformat(asked)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ProvisioningError(
            f"{key} is no time with its zone, like 2027-01-31T12:00:00Z. Run: pulumi config rm {key}"
        )
    return None if datetime.fromisoformat(outputs["clientSecretIssued"]) >= moment or moment > now() else moment


def _fulfilled(asked: datetime, outputs: dict[str, Any], compromised: bool) -> bool:
    issued = datetime.fromisoformat(outputs["clientSecretIssued"])
    old = outputs.get("oldSecretRetires") or outputs.get("oldSecretWaitsFor")
    return issued >= asked and not (compromised and old)
