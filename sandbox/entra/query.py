"""The OData query forms that this stand-in answers: $filter, $select, $orderby, $top with $skiptoken, $count.

$filter: `name eq 'text'`, `name ne …`, `startswith(name,'text')`, `name in ('a','b')`, `name/any(x:x eq 'text')`,
joined by `and`.
Anything else is rejected with Graph's code, never ignored.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from sandbox.entra.graph_errors import unsupported_query

Json = dict[str, Any]

LITERAL = r"(?:'(?P<text>(?:[^']|'')*)'|(?P<guid>[0-9a-fA-F-]{36})|(?P<word>true|false|null|-?\d+))"
COMPARISON = re.compile(rf"\s*(?P<name>\w+(?:/\w+)*)\s+(?P<operator>eq|ne)\s+{LITERAL}\s*")
STARTS_WITH = re.compile(r"\s*startswith\(\s*(?P<name>\w+)\s*,\s*'(?P<text>(?:[^']|'')*)'\s*\)\s*", re.IGNORECASE)
MEMBERSHIP = re.compile(r"\s*(?P<name>\w+)\s+in\s+\(\s*(?P<items>'(?:[^']|'')*'(?:\s*,\s*'(?:[^']|'')*')*)\s*\)\s*")
ANY = re.compile(r"\s*(?P<name>\w+)/any\(\s*(?P<x>\w+)\s*:\s*(?P=x)\s+eq\s+'(?P<text>(?:[^']|'')*)'\s*\)\s*")
AND = re.compile(r"and\b")
WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
PAGE = 100
"""Graph's default page size for directory objects."""


def matches(item: Json, expression: str) -> bool:
    """Whether an object passes a $filter. Raises GraphError 400 for a form that is not answered."""
    position, result = 0, True
    while position < len(expression):
        clause, position = _clause(item, expression, position)
        result = result and clause
        if position < len(expression):
            joint = AND.match(expression, position)
            if joint is None:
                raise unsupported_query(f"Unsupported or invalid query filter clause: '{expression}'.")
            position = joint.end()
    return result


def _clause(item: Json, expression: str, position: int) -> tuple[bool, int]:
    if found := STARTS_WITH.match(expression, position):
        value = item.get(found["name"])
        return isinstance(value, str) and value.lower().startswith(_text(found["text"]).lower()), found.end()
    if found := MEMBERSHIP.match(expression, position):
        options = [_text(text) for text in re.findall(r"'((?:[^']|'')*)'", found["items"])]
        return item.get(found["name"]) in options, found.end()
    if found := ANY.match(expression, position):
        return _text(found["text"]) in (item.get(found["name"]) or []), found.end()
    if found := COMPARISON.match(expression, position):
        return _equal(_value(item, found["name"]), _literal(found)) == (found["operator"] == "eq"), found.end()
    raise unsupported_query(f"Unsupported or invalid query filter clause: '{expression}'.")


def _literal(found: re.Match[str]) -> Any:
    if found["text"] is not None:
        return _text(found["text"])
    if found["guid"] is not None:
        return found["guid"]
    word = found["word"]
    return WORDS[word] if word in WORDS else int(word)


def _text(quoted: str) -> str:
    return quoted.replace("''", "'")


def _value(item: Json, name: str) -> Any:
    value: Any = item
    for part in name.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _equal(left: Any, right: Any) -> bool:
    """Graph compares strings without regard to case."""
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return bool(left == right)


def select(item: Json, parameters: dict[str, str]) -> Json:
    """The properties named in $select, or all of them. OData annotations always stay."""
    names = [name.strip() for name in parameters.get("$select", "").split(",") if name.strip()]
    if not names or "*" in names:
        return item
    return {key: value for key, value in item.items() if key in names or "@odata." in key}


def page(items: list[Json], parameters: dict[str, str], address: str) -> Json:
    """A collection answer: filtered, ordered, cut into pages, with a link to the next page. address: of the request."""
    expression = parameters.get("$filter")
    found = [item for item in items if expression is None or matches(item, expression)]
    if order := parameters.get("$orderby"):
        name, _, direction = order.partition(" ")
        found.sort(key=lambda item: str(item.get(name) or "").lower(), reverse=direction.strip().lower() == "desc")
    start = int(parameters.get("$skiptoken", "0"))
    size = int(parameters.get("$top", PAGE))
    answer: Json = {}
    if parameters.get("$count", "").lower() == "true":
        answer["@odata.count"] = len(found)
    if start + size < len(found):
        rest = {**parameters, "$skiptoken": str(start + size)}
        answer["@odata.nextLink"] = f"{address}?{urlencode(rest)}"
    answer["value"] = [select(item, parameters) for item in found[start : start + size]]
    return answer
