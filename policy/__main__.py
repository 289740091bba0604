"""The policy pack: `rules` as mandatory Pulumi policies, with what a company may configure."""

from __future__ import annotations

from ending import end_quietly_when_told

# Before the imports, which take half a second.
end_quietly_when_told()

from collections.abc import Callable  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from typing import Any  # noqa: E402

import rules  # noqa: E402
from pulumi_policy import (  # noqa: E402
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
    """A policy that reports every violation. settings: what may be configured, as JSON schemas."""

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
    """Violations of an application's audience."""
    allowed = args.get_config()["audiences"]
    return rules.audience_violations(args.props, allowed) if args.resource_type == rules.APPLICATION else []


def scopes(args: ResourceValidationArgs) -> list[str]:
    """Violations of an application's permissions, and of consent for the whole tenant."""
    allowed = args.get_config()["scopes"]
    if args.resource_type == rules.APPLICATION:
        return rules.permission_violations(args.props, allowed)
    return rules.grant_violations(args.props, allowed) if args.resource_type == rules.GRANT else []


def lifetime(args: ResourceValidationArgs) -> list[str]:
    """Violations of a client secret's end date."""
    days = int(args.get_config()["days"])
    if args.resource_type != rules.PASSWORD:
        return []
    return rules.lifetime_violations(args.props, days, datetime.now(UTC))


def owners(args: ResourceValidationArgs) -> list[str]:
    """Violations of the owners of an application and its service principal."""
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
            "Only resources that the program needs are created in Entra ID.",
            lambda args: rules.type_violations(args.resource_type, args.props),
        ),
        policy("audience", "Who may sign in.", audience, audiences=texts(AUDIENCES)),
        policy(
            "scopes",
            "Which permissions may be declared, and consented to for the whole tenant.",
            scopes,
            scopes=texts(SCOPES),
        ),
        policy("secret-lifetime", "How far away a client secret's end may be.", lifetime, days=number(180)),
        policy("owners", "How many people can look after the application.", owners, least=number(2)),
    ],
)
