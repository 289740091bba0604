"""The policy pack: `rules` as Pulumi policies, each mandatory, with what a company may set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import rules
from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

AUDIENCES = ["AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount"]
SCOPES = ["email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read"]


def policy(
    name: str, description: str, violations: Callable[[ResourceValidationArgs], list[str]], **settings: Any
) -> ResourceValidationPolicy:
    """A policy that reports every reason that `violations` finds; settings: what may be set, as JSON schemas."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for reason in violations(args):
            report(reason, None)

    schema = PolicyConfigSchema(properties=settings) if settings else None
    return ResourceValidationPolicy(name=name, description=description, validate=validate, config_schema=schema)


def texts(default: list[str]) -> dict[str, Any]:
    """The schema of a list of names."""
    return {"type": "array", "items": {"type": "string"}, "default": default}


def number(default: int) -> dict[str, Any]:
    """The schema of a positive number."""
    return {"type": "integer", "minimum": 1, "default": default}


def audience(args: ResourceValidationArgs) -> list[str]:
    """Of an application."""
    allowed = args.get_config()["audiences"]
    return rules.audience_violations(args.props, allowed) if args.resource_type == rules.APPLICATION else []


def scopes(args: ResourceValidationArgs) -> list[str]:
    """Of an application, and of consent for everybody."""
    allowed = args.get_config()["scopes"]
    if args.resource_type == rules.APPLICATION:
        return rules.permission_violations(args.props, allowed)
    return rules.grant_violations(args.props, allowed) if args.resource_type == rules.GRANT else []


def lifetime(args: ResourceValidationArgs) -> list[str]:
    """Of a client secret."""
    days = int(args.get_config()["days"])
    if args.resource_type != rules.PASSWORD:
        return []
    return rules.lifetime_violations(args.props, days, datetime.now(UTC))


def owners(args: ResourceValidationArgs) -> list[str]:
    """Of an application and its service principal."""
    least = int(args.get_config()["least"])
    if args.resource_type not in (rules.APPLICATION, rules.PRINCIPAL):
        return []
    return rules.owner_violations(args.props, least)


PolicyPack(
    name="nocobase-outlook",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        policy(
            "known-resources",
            "Nothing is made in Entra ID but what the program is known to need.",
            lambda args: rules.type_violations(args.resource_type, args.props),
        ),
        policy("audience", "Who may sign in.", audience, audiences=texts(AUDIENCES)),
        policy("scopes", "What may be asked for, and consented to for everybody.", scopes, scopes=texts(SCOPES)),
        policy("secret-lifetime", "How far away a client secret's end may be.", lifetime, days=number(180)),
        policy("owners", "How many people can look after the application.", owners, least=number(2)),
    ],
)
