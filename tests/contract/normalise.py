"""What is not compared literally between a recording and the sandbox. This is the whole list.

Normalised, each kind by its own consistent one-to-one renaming (an id must be the same id everywhere):
- object ids, client ids, key ids and other GUIDs; ids of delegated grants and role assignments; secret texts;
- the address of the server;
- moments of creation, under the keys in MOMENTS only (dates that the program gives are compared literally);
- the GUID inside the temporary name TERRAFORM_UPDATE_<GUID>.

Left out:
- `__pulumi_raw_state_delta` in answers: a cache of the real bridge that the engine treats as opaque. (`__meta` is
  compared.)
- OData annotations (`@odata.context`, `@odata.type`): the recording's server echoed the request's, Graph sends its own.
- `innerError`: Graph's has date and two request ids, the recording's had one.
- the content of access tokens, the name of the cloud, and `hint` (the first letters of a secret).

Compared as a subset (the sandbox may have more keys, never fewer):
- answers with a note "result shortened …", as the note says;
- lists of owners: the recording's server listed ids, Graph lists whole objects.

May be more than recorded: `principalId` of a grant, which Graph sends as null and the recording's server did not send.

A GET with `$select` is compared by the selected properties: the recording's server sent the whole object.
"""

from __future__ import annotations

import re
from typing import Any

GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TOKENS = {
    "secret": r"lab~[0-9a-f]{32}|sbx8Q~[\w-]{34}",
    "id": GUID,
    "grant": r"(?<![\w-])(?:[0-9a-f]{32}|[\w-]{43}|(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{22})(?![\w-])",
    "address": r"(?:https://)?localhost:\d+",
}
MOMENTS = frozenset({"startDate", "startDateTime", "createdDateTime", "deletedDateTime"})
LEFT_OUT = frozenset({"__pulumi_raw_state_delta", "@odata.context", "@odata.type", "innerError"})
MAY_BE_MORE = frozenset({"principalId"})
NOT_COMPARED = frozenset({"access_token", "hint", "name"})
"""Keys whose values may differ; `name` only in the cloud's metadata."""
PATTERN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in TOKENS.items()))
TEMPORARY = re.compile(rf"TERRAFORM_UPDATE_{GUID}")


class Difference(AssertionError):
    """A place where the sandbox does not answer as recorded."""


class Names:
    """The renaming between a recording and this run: recorded token to actual token and back."""

    def __init__(self) -> None:
        self.actual: dict[str, str] = {}
        self.recorded: dict[str, str] = {}

    def bind(self, recorded: str, actual: str, where: str) -> None:
        """Note that two tokens mean the same, or raise Difference if one of them is taken already."""
        if self.actual.setdefault(recorded, actual) != actual or self.recorded.setdefault(actual, recorded) != recorded:
            raise Difference(f"{where}: {recorded} was recorded where the sandbox has {actual}, and they do not match")

    def translate(self, value: Any) -> Any:
        """A recorded value with the tokens of this run. Tokens that no answer has named yet stand for themselves."""
        if isinstance(value, dict):
            return {key: self.translate(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.translate(item) for item in value]
        if not isinstance(value, str):
            return value

        def replace(found: re.Match[str]) -> str:
            token = found.group()
            if token not in self.actual:
                self.bind(token, token, "request")
            return self.actual[token]

        if value in self.actual:
            return self.actual[value]
        return PATTERN.sub(replace, value)

    def compare(self, recorded: Any, actual: Any, where: str, *, subset: bool = False) -> None:
        """Raise Difference at the first place that differs. subset: objects may have more keys than recorded."""
        if isinstance(recorded, dict) and isinstance(actual, dict):
            self._compare_objects(recorded, actual, where, subset=subset)
        elif isinstance(recorded, list) and isinstance(actual, list):
            if len(recorded) != len(actual):
                raise Difference(f"{where}: recorded {recorded!r}, the sandbox has {actual!r}")
            for index, (before, after) in enumerate(zip(recorded, actual, strict=True)):
                self.compare(before, after, f"{where}[{index}]", subset=subset)
        elif isinstance(recorded, str) and isinstance(actual, str):
            self._compare_texts(recorded, actual, where)
        elif isinstance(recorded, bool) != isinstance(actual, bool) or recorded != actual:
            raise Difference(f"{where}: recorded {recorded!r}, the sandbox has {actual!r}")

    def _compare_objects(self, recorded: dict[str, Any], actual: dict[str, Any], where: str, *, subset: bool) -> None:
        before = {key: value for key, value in recorded.items() if key not in LEFT_OUT}
        after = {key: value for key, value in actual.items() if key not in LEFT_OUT}
        missing, more = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys() - MAY_BE_MORE)
        if missing or (more and not subset):
            raise Difference(f"{where}: missing {missing}, not recorded {more}")
        for key, value in before.items():
            if key == "name" and "suffixes" in before:
                continue
            if key in NOT_COMPARED - {"name"}:
                continue
            place = f"{where}.{key}"
            if key in MOMENTS and isinstance(value, str) and isinstance(after[key], str):
                self.bind_moment(value, after[key], place)
            else:
                self.compare(value, after[key], place, subset=subset)

    def bind_moment(self, recorded: str, actual: str, where: str) -> None:
        """Moments must be moments; the same second may be many objects' moment, so they are not renamed back."""
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", actual):
            raise Difference(f"{where}: recorded {recorded!r}, the sandbox has {actual!r}, which is no moment")
        self.actual[recorded] = actual

    def _compare_texts(self, recorded: str, actual: str, where: str) -> None:
        recorded, actual = TEMPORARY.sub("TERRAFORM_UPDATE", recorded), TEMPORARY.sub("TERRAFORM_UPDATE", actual)
        before, after = list(PATTERN.finditer(recorded)), list(PATTERN.finditer(actual))
        same_words = PATTERN.sub(_kind, recorded) == PATTERN.sub(_kind, actual)
        if not same_words:
            raise Difference(f"{where}: recorded {recorded!r}, the sandbox has {actual!r}")
        for left, right in zip(before, after, strict=True):
            self.bind(left.group(), right.group(), where)


def _kind(found: re.Match[str]) -> str:
    return f"<{found.lastgroup}>"
