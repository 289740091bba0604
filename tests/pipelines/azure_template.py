"""Expands templates of Azure Pipelines as far as our files need it: a stand-in for what Azure DevOps does with them.

Conditional insertion (if, else), loops over lists, templates with parameters, and the functions that the files use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[\w.]+|[(),])")
WHOLE = re.compile(r"\$\{\{\s*((?:(?!\}\}).)*?)\s*\}\}")
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "in": lambda one, *others: one in others,
    "notIn": lambda one, *others: one not in others,
    "replace": lambda text, old, new: text.replace(old, new),
}

Scope = Mapping[str, Any]


def evaluate(text: str, scope: Scope) -> Any:
    """The value of an expression."""
    tokens = TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), text

    def value() -> Any:
        token = tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if tokens[:1] == ["("]:
            tokens.pop(0)
            given = []
            while tokens[0] != ")":
                given.append(value())
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
            return FUNCTIONS[token](*given)
        found: Any = scope
        for name in token.split("."):
            found = found[name]
        return found

    return value()


def expand(node: Any, scope: Scope, folder: Path) -> Any:
    """A document without directives."""
    if isinstance(node, str):
        whole = WHOLE.fullmatch(node)
        return evaluate(whole[1], scope) if whole else WHOLE.sub(lambda found: str(evaluate(found[1], scope)), node)
    if isinstance(node, list):
        return [one for item in _chosen(node, scope) for one in _items(item, scope, folder)]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for pair in _chosen([{key: value} for key, value in node.items()], scope):
        if isinstance(pair, _Branch):
            made |= expand(pair.body, scope, folder)
        else:
            ((key, value),) = pair.items()
            made[str(expand(key, scope, folder))] = expand(value, scope, folder)
    return made


def template(file: Path, given: Scope) -> Any:
    """A file with its parameters filled in. A parameter without a default is required."""
    document = yaml.safe_load(file.read_text())
    declared = {item["name"]: item for item in document.pop("parameters", [])}
    assert set(given) <= set(declared), (file, given)
    missing = [name for name, item in declared.items() if "default" not in item and name not in given]
    assert not missing, (file, missing)
    parameters = {name: given[name] if name in given else item["default"] for name, item in declared.items()}
    return expand(document, {"parameters": parameters}, file.parent)


class _Branch:
    def __init__(self, body: Any) -> None:
        self.body = body


def _chosen(items: list[Any], scope: Scope) -> list[Any]:
    """The items, those of a condition that holds as _Branch."""
    found: list[Any] = []
    taken = True
    for item in items:
        key = next(iter(item)) if isinstance(item, dict) and len(item) == 1 else ""
        directive = WHOLE.fullmatch(str(key))
        words = directive[1] if directive else ""
        if words.startswith("if "):
            taken = bool(evaluate(words.removeprefix("if "), scope))
        elif words == "else":
            taken = not taken
        else:
            found.append(item)
            continue
        if taken:
            found.append(_Branch(item[key]))
    return found


def _items(item: Any, scope: Scope, folder: Path) -> list[Any]:
    if isinstance(item, _Branch):
        return list(expand(item.body, scope, folder))
    if isinstance(item, dict) and "template" in item:
        made = template(folder / item["template"], expand(item.get("parameters", {}), scope, folder))
        ((_, found),) = made.items()
        return list(found)
    if isinstance(item, dict) and len(item) == 1:
        ((key, body),) = item.items()
        if loop := re.fullmatch(r"\$\{\{ each (\w+) in (.*?) \}\}", str(key)):
            several = evaluate(loop[2], scope)
            return [one for value in several for one in expand(body, {**scope, loop[1]: value}, folder)]
    return [expand(item, scope, folder)]
