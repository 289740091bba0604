"""The commands within a sentence, for the stack that it is about."""

from __future__ import annotations

import re

from provisioning.pulumi_cli import STACK_NAME

COMMAND = re.compile(
    r"(?<!next )(?<!next `)(?<!If `)"
    r"(?:pulumi (?:up|preview|refresh|destroy|config (?:get|set|rm|refresh)|state delete|stack(?= --show-urns)"
    r"|stack (?:output|export|import|rm|change-secrets-provider))"
    r"|python -m provisioning (?:status|rotate|prune|adopt|doctor(?! --network-only)))(?![\w-])"
    r"(?![^`\n]* (?:--stack|-s)\b)"
)
"""A command that acts on a stack and names none, unless a sentence only says what one will do."""


def for_stack(said: str, stack: str | None) -> str:
    """The text, in which each command acts on `stack`, whichever is selected; None: on the selected one, as it is."""
    if stack is None or not STACK_NAME.fullmatch(stack):
        return said
    return COMMAND.sub(lambda found: f"{found[0]} --stack {stack}", said)
