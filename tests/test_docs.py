"""The pages beside the README name files that exist, and sections that they have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = sorted(
    page for room in ("docs", "policy", "fleet", "bootstrap", "pipelines") for page in (PROJECT / room).rglob("*.md")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_files_and_sections_that_it_names_exist(page: Path) -> None:
    text = page.read_text()
    named = {
        PROJECT / name
        for name in re.findall(r"`((?:tests|policy|provisioning|docs|bootstrap|pipelines)/[\w/.-]+\.\w+)`", text)
    }
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    named |= {page.parent / link.split("#")[0] for link in links if not link.startswith(("http", "#"))}
    assert named
    assert [str(file) for file in named if not file.exists()] == []
    sections = {
        re.sub(r"[^\w -]", "", title).replace(" ", "-").lower() for title in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert {link[1:] for link in links if link.startswith("#")} <= sections
