"""`rotate`: a new client secret now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from provisioning.cli.common import Stack, deployed, errors_as_sentences, if_interrupted, now, words
from provisioning.errors import ProvisioningError
from provisioning.foreign import quoted
from provisioning.pulumi_cli import Pulumi

MOST_RUNS = 3
"""A rotation takes one run, or two where a slot has to be freed first; one more shows that nothing is left to do."""


def rotate(
    stack: Stack = None,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="The present secret has leaked: remove it as soon as the new one is in use."
        ),
    ] = False,
) -> None:
    """Issue a new client secret now, by `pulumi up`. Safe to repeat: an interrupted rotation is resumed."""
    with errors_as_sentences():
        engine = Pulumi(stack)
        key = "compromisedBefore" if compromised else "rotateRequestedAt"
        asked = _pending(key, engine.config(key), deployed(engine))
        stays = (
            "The request stays in the stack's settings: the next `pulumi up` resumes this rotation. To take it back, "
            f"if no new secret was issued yet: pulumi config rm {key}{_named(engine)}"
        )
        # Before it is set: Ctrl-C does not end `pulumi config set`.
        if_interrupted(stays)
        if asked is None:
            asked = now().replace(microsecond=0)
            engine.set_config(key, asked.strftime("%Y-%m-%dT%H:%M:%SZ"))
        outputs = _rotate(engine, asked, compromised, stays)
        words.print(f"NocoBase uses a new client secret, valid until {quoted(outputs['clientSecretExpiry'])}.")
        if outputs.get("oldSecretRetires"):
            words.print(f"The old one is removed by the first `pulumi up` after {quoted(outputs['oldSecretRetires'])}.")


def _rotate(engine: Pulumi, asked: datetime, compromised: bool, stays: str) -> dict[str, Any]:
    """Run `pulumi up` until the request of `asked` is fulfilled; return the outputs.

    stays: what is said of the request if this fails. Raises ProvisioningError, and EngineFailed if a run failed.
    """
    try:
        for _ in range(MOST_RUNS):
            engine.up()
            outputs = deployed(engine)
            if _fulfilled(asked, outputs, compromised):
                if_interrupted("The rotation is complete.")
                return outputs
        raise ProvisioningError("The rotation is not complete yet. Repeat this command.")
    except ProvisioningError:
        words.print(stays, style="yellow")
        raise


def _named(engine: Pulumi) -> str:
    return f" --stack {engine.stack}" if engine.stack else ""


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
    return issued >= asked and not (compromised and outputs.get("oldSecretRetires"))
