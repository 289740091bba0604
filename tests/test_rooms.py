"""The rooms of `provisioning/` know of each other in one direction only: what is above imports what is below."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PRODUCT = "provisioning"

GROUND = (
    "errors",
    "addresses",
    "connections",
    "foreign",
    "pins",
    "plain_text",
    "resource_types",
    "unanswered",
    "variables",
    "waiting",
    "__version__",
)
"""What every room may import."""

OUTSIDES = (*GROUND, "entra", "nocobase", "nocobase3")
BESIDE = (*OUTSIDES, "pulumi_cli", "pulumi_events", "program")

ARROWS: dict[str, tuple[str, ...]] = {
    "errors": ("foreign",),
    "addresses": (),
    "foreign": ("addresses",),
    "connections": ("errors",),
    "pins": (),
    "ending": (),
    "plain_text": (),
    "resource_types": (),
    "unanswered": (),
    "variables": (),
    "waiting": ("errors",),
    "pulumi_cli": (*GROUND, "pulumi_events"),
    "pulumi_events": ("foreign",),
    "__version__": (),
    "interpreter": (),
    "command_line": ("__version__",),
    "entra": GROUND,
    "nocobase": (*GROUND, "entra", "ending"),
    "nocobase3": (*GROUND, "entra", "nocobase", "ending"),
    "program": (*OUTSIDES, "pulumi_cli", "ending"),
    "head_start": ("nocobase", "program", "variables", "ending"),
    "status": BESIDE,
    "adopt": BESIDE,
    "init": BESIDE,
    "doctor": (*BESIDE, "status"),
    "fleet": (*GROUND, "pulumi_cli", "pulumi_events", "nocobase"),
    "cli": (*BESIDE, "status", "adopt", "init", "doctor", "fleet", "command_line"),
    "__main__": ("cli", "interpreter"),
}
"""Room or module → what it may import besides itself, also within functions and for types alone."""

FILES = sorted((PROJECT / PRODUCT).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """The rooms of the product that a module imports."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                full = [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                full = [f"{module}.{name.name}" for name in names]
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: a relative import")
            case _:
                continue
        for name in full:
            package, _, inside = name.partition(".")
            if package == PRODUCT:
                yield inside.partition(".")[0] or "all of it"


def not_allowed(room: str, source: str) -> list[str]:
    """The arrows from `room` that the table does not allow."""
    return sorted(f"{room} → {other}" for other in set(imported(source)) - {room, *ARROWS[room]})


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_a_room_imports_only_what_is_below_it(file: Path) -> None:
    room = file.relative_to(PROJECT / PRODUCT).parts[0].removesuffix(".py")
    if room != "__init__":
        assert not_allowed(room, file.read_text(encoding="utf-8")) == []


def test_no_arrows_of_the_table_meet() -> None:
    assert set(TopologicalSorter(ARROWS).static_order()) == set(ARROWS)


def test_nothing_but_the_program_imports_the_head_start() -> None:
    assert [room for room, below in ARROWS.items() if "head_start" in below] == []


@pytest.mark.parametrize(
    "source",
    [
        "from provisioning.program.settings import Settings",
        "from provisioning import pulumi_cli",
        "import provisioning.nocobase.client",
        "def late():\n    from provisioning.nocobase import client",
        "if TYPE_CHECKING:\n    from provisioning.status.read import Push",
        "import provisioning",
    ],
)
def test_an_arrow_up_is_seen(source: str) -> None:
    assert not_allowed("entra", source) != []


def test_the_product_does_not_import_the_sandbox_or_the_tests() -> None:
    for file in FILES:
        tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        modules = {node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module}
        assert {module for module in modules if module.partition(".")[0] in ("sandbox", "tests")} == set()


def test_nothing_is_written_twice() -> None:
    found: dict[str, list[str]] = {}
    for file in FILES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                said = ast.get_docstring(node) is not None
                node.body = node.body[said:]
                if len(node.body) > 1:
                    found.setdefault(ast.dump(node), []).append(f"{file.name}::{node.name}")
    assert [names for names in found.values() if len(names) > 1] == []
