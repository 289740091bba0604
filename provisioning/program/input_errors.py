"""What is wrong with a value that somebody has set, in words: pydantic's own name Python's types and its own rules.

Both programs use it for their settings, with the rules that both have.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator
from pydantic_core import ErrorDetails, PydanticCustomError

from provisioning.foreign import LONGEST, one_line, parsed_json

WITH_PASSWORD = re.compile(r":.*@")
"""What may be `user:password@host`."""


WORDS = {
    "missing": "It is not set.",
    "extra_forbidden": "There is no such setting.",
    "invalid": "{reason}",
    "value_error": "{error}",
    "enum": "It is none of the allowed values.",
    "string_type": "It must be text.",
    "string_too_short": "It must have {min_length} or more characters.",
    "string_too_long": "It may have at most {max_length} characters.",
    "greater_than_equal": "It must be {ge} or more.",
    "less_than_equal": "It must be {le} or less.",
    "int": "It must be a whole number.",
    "bool": "It must be true or false.",
    "tuple": "It must be a list.",
    "dict": "It must be an object, which has names with values.",
    "model": "It must be an object, which has names with values.",
    "datetime": "It must be a time with its time zone, like 2027-01-31T12:00:00Z.",
    "timezone": "It must be a time with its time zone, like 2027-01-31T12:00:00Z.",
}
"""pydantic's type of an error, or the first word of it, → the rule that the value breaks."""


def why(details: ErrorDetails) -> str:
    """The rule that the value breaks."""
    kind = details["type"]
    words = WORDS.get(kind) or WORDS.get(kind.partition("_")[0], "This value is not allowed.")
    said = words.format_map(details.get("ctx", {}))
    return said[:1].upper() + said[1:]


def path(location: Sequence[int | str]) -> str:
    """The place of a value as `pulumi config set --path` takes it: `owners[0]`, `nocobaseMapping.collection`."""
    first, *inner = location
    return str(first) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner)


def shown(value: object) -> str | None:
    """A value as it can be repeated, on one line; None if it may hold a password."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return None if WITH_PASSWORD.search(text) else one_line(text, LONGEST)


def texts(value: str) -> Iterator[str]:
    """Every text of a value as the engine passes it: itself, and those within a list or an object."""
    yield value
    with suppress(ValueError):
        waiting = [parsed_json(value)]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                yield one
            elif isinstance(one, list | dict):
                waiting += one.values() if isinstance(one, dict) else one


def invalid(reason: str, **context: object) -> PydanticCustomError:
    """The error of a validator. context: what else whoever reports it is to know."""
    # The reason is an argument, because braces in the message itself would be placeholders.
    return PydanticCustomError("invalid", "{reason}", {"reason": reason, **context})


def raise_if(reason: str | None) -> None:
    """Raise the error of a validator if there is a reason for it."""
    if reason:
        raise invalid(reason)


def matching(pattern: str, reason: str) -> AfterValidator:
    """A validator of texts that match `pattern` as a whole. reason: what is said of any other."""

    def check(text: str) -> str:
        raise_if(None if re.fullmatch(pattern, text) else reason)
        return text

    return AfterValidator(check)


def _object_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid("It must be an object id of Entra ID, like 1b4e28ba-2fa1-11d2-883f-0016d3cca427.") from None


ObjectId = Annotated[str, AfterValidator(_object_id)]


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that come closest to `name`, best first; empty if none is close."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=3)
    return [by_lower_case[match] for match in close]
