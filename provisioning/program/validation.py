"""The stack's configuration as settings and logins, or everything that is wrong with it, each with a remedy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from provisioning.entra import rules
from provisioning.entra.rules import Audience
from provisioning.errors import Problem, SettingsError
from provisioning.foreign import redact
from provisioning.nocobase.installation import HEADERS, INSTALLATION_HEADERS, MAIN
from provisioning.nocobase.login import API_KEY, API_KEYS, NocoBaseLogin, headers_remedy, missing_login, stored_logins
from provisioning.program import input_errors
from provisioning.program.input_errors import nearest
from provisioning.program.settings import MappingSettings, Settings, is_list

RETIRED = "keep"
"""A setting of earlier versions, accepted without effect: it named some of what the program does not declare."""

RESTART = "nocobaseRestart"
"""The configuration key of the command that restarts a NocoBase 3."""


class StackSettings(NamedTuple):
    """Everything one run needs to know: the stack's settings, and the logins to NocoBase.

    login: to the main installation. logins: by the installation's name, the main one's under "".
    """

    settings: Settings
    login: NocoBaseLogin
    logins: Mapping[str, NocoBaseLogin]


def load(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> StackSettings:
    """Settings and logins from the stack's configuration `config` and the environment.

    config: the keys without the project's name, the values as the engine passes them (lists and objects as JSON).
    secret_keys: which of them are stored encrypted. Raises SettingsError with everything that is wrong, not only the
    first.
    """
    settings, problems = validate(config, secret_keys)
    for key, command in ((API_KEY, f"--secret {API_KEY}"), (API_KEYS, f"--path --secret {API_KEYS}.<name>")):
        if config.get(key) not in (None, "", "{}") and key not in secret_keys:
            why = "It is stored in plain text; an API key must be encrypted, or set in the environment only."
            problems.append(Problem(key, None, why, f"pulumi config set {command}"))
    if RESTART in secret_keys:
        why = "It is stored encrypted, but a command and its arguments are shown, and recorded in plain text."
        remedy = f"Have the command read its secret by itself: pulumi config rm {RESTART}, then set it without --secret"
        problems.append(Problem(RESTART, None, why, remedy))
    logins = _logins(settings, config, problems)
    if problems or settings is None:
        raise SettingsError(problems)
    return StackSettings(settings, logins[MAIN], logins)


def _logins(settings: Settings | None, config: Mapping[str, str], problems: list[Problem]) -> dict[str, NocoBaseLogin]:
    """The login to each installation; those that are missing are added to `problems`."""
    try:
        stored = stored_logins(config)
    except SettingsError as error:
        known = {problem.key for problem in problems}
        problems += [problem for problem in error.problems if problem.key not in known or problem.key == API_KEYS]
        return {}
    # If other settings are wrong, validate at least the main login.
    wanted = {one.name: one.logins for one in settings.installations} if settings else {MAIN: (MAIN,)}
    found = {name: stored.first(names) for name, names in wanted.items()}
    problems += [missing_login(name) for name, login in found.items() if login is None]
    return {name: login for name, login in found.items() if login is not None}


def validate(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> tuple[Settings | None, list[Problem]]:
    """The settings in `config`, without the login to NocoBase; if they are not valid, None and every problem.

    secret_keys: which of them are stored encrypted; no problem repeats their values.
    """
    own: dict[str, Any] = {key: value for key, value in config.items() if key not in (API_KEY, API_KEYS, RETIRED)}
    try:
        return Settings(**own), []
    except ValidationError as error:
        found = [_problem(details) for details in error.errors(include_url=False)]
        return None, [_without_secret(problem, config, secret_keys) for problem in found]


def _without_secret(problem: Problem, config: Mapping[str, str], secret_keys: Collection[str]) -> Problem:
    """The problem without the value of a setting that is stored encrypted."""
    key = re.split(r"[.[]", problem.key)[0]
    if key not in secret_keys:
        return problem
    return replace(problem, value=None, why=redact(problem.why, set(input_errors.texts(config.get(key, "")))))


def _problem(details: ErrorDetails) -> Problem:
    name, *inner = details["loc"]
    # pydantic reports an invalid default by the field's name, not by its alias.
    key = str(Settings.model_fields[str(name)].alias if name in Settings.model_fields else name)
    path, why = input_errors.path([key, *inner]), input_errors.why(details)
    field = _field(key)
    if field is None:
        close = nearest(key, (known.alias or "" for known in Settings.model_fields.values()))
        hint = f" Did you mean {close[0]}?" if close else ""
        return Problem(path, None, f"{why}{hint}", f"pulumi config rm {shlex.quote(key)}")
    if details["type"] == "extra_forbidden":
        # Always quoted: a shell would take brackets for a pattern.
        quoted = shlex.quote(path) if "'" in path else f"'{path}'"
        return Problem(path, None, why, f"pulumi config rm --path {quoted}")
    if details["type"] == "missing":
        target = f"--path '{path}'" if inner else path
        return Problem(path, None, why, f"pulumi config set {target} <value>")
    context = details.get("ctx", {})
    if "remedy" in context:
        blamed = str(Settings.model_fields[context["field"]].alias)
        return Problem(blamed, context["value"], why, context["remedy"])
    if details["type"] == "enum" and (close := nearest(str(details["input"]), _allowed(field))):
        why += f" Nearest: {close[0]}."
    # A header may be a secret.
    shown = None if key in (HEADERS, INSTALLATION_HEADERS) else input_errors.shown(details["input"])
    return Problem(path, shown, why, _remedy(path, inner, field, details["type"]))


PLACES = ("nocobaseUrl", "nocobaseApp", "nocobaseInstallations", "nocobaseConfigFile", "nocobaseMailProvider")
"""Settings whose removal would point at another NocoBase, or stop serving one."""


def _remedy(path: str, inner: Sequence[object], field: FieldInfo, kind: str) -> str:
    """What to do about a value that is not allowed: nobody who follows it gets more, or something else, than meant.

    So it names no value: it restores the default, removes what is wrong, or says what is allowed.
    """
    key = str(field.alias)
    if key in (HEADERS, INSTALLATION_HEADERS):
        return headers_remedy(key)
    if inner or key in PLACES:
        single = is_list(field) and len(inner) == 1
        target = f"--path '{path}'" if inner else path
        # A wrong item has had no effect, so its removal changes nothing.
        removal = f", or remove it: pulumi config rm --path '{path}'" if single and key not in PLACES else ""
        return f"Correct it: pulumi config set {target} <value>{removal}"
    if allowed := _allowed(field):
        return f"Set it to one of: {', '.join(allowed)}."
    if field.annotation is bool:
        # The default of one is less than what somebody has set.
        return "Set it to one of: true, false."
    if kind == "tuple_type":
        return f"Write it as a list: pulumi config rm {key}, then pulumi config set --path '{key}[0]' <value>"
    if is_list(field):
        return f"Correct it: pulumi config set --path '{key}[<number>]' <value>"
    default = (
        "autodetected" if field.annotation is MappingSettings else "none" if field.default is None else field.default
    )
    return f"Correct it, or restore the default ({default}): pulumi config rm {key}"


def _allowed(field: FieldInfo) -> list[str]:
    """The values of a setting that has a fixed set of them; empty for any other."""
    if field.annotation is Audience:
        return [one for one in Audience if not rules.why_invalid_audience(one)]
    return (
        list(field.annotation) if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum) else []
    )


def _field(key: str) -> FieldInfo | None:
    return next((field for field in Settings.model_fields.values() if field.alias == key), None)
