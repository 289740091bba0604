"""What the project's Markdown pages say, read as a renderer reads them: code, links, headings and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer import Typer
from typer.testing import CliRunner

PROJECT = Path(__file__).parents[1]

FOLDERS = ("docs", "policy", "fleet", "bootstrap", "pipelines", "sandbox")

MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(PROJECT))

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text()

    @cached_property
    def blocks(self) -> list[Token]:
        """The rendered structure: block tokens in their order, inline ones as their children."""
        return MARKDOWN.parse(self.text)

    def _inline(self) -> Iterator[Token]:
        for block in self.blocks:
            yield from block.children or ()

    def code(self) -> list[str]:
        """The content of every code block and code span."""
        blocks = [block.content for block in self.blocks if block.type in ("fence", "code_block")]
        return blocks + [span.content for span in self._inline() if span.type == "code_inline"]

    def links(self) -> set[str]:
        """Where its links lead to, as they are written."""
        return {str(token.attrs["href"]) for token in self._inline() if token.type == "link_open"}

    def pictures(self) -> dict[str, str]:
        """File → the text for those who do not see it, of each picture."""
        found = (token for token in self._inline() if token.type == "image")
        return {str(picture.attrs["src"]): picture.content for picture in found}

    def anchors(self) -> set[str]:
        """What a link to one of its sections may have behind the '#', as GitHub makes it from the heading."""
        headings = [
            title.content
            for opened, title in zip(self.blocks, self.blocks[1:], strict=False)
            if opened.type == "heading_open"
        ]
        return {re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower() for heading in headings}

    def table(self, *head: str) -> list[list[str]]:
        """The rows of the first table whose head begins with `head`, each cell as it is written."""
        rows: list[list[str]] = []
        for block, inner in zip(self.blocks, self.blocks[1:], strict=False):
            if block.type == "tr_open":
                rows.append([])
            elif block.type in ("th_open", "td_open"):
                rows[-1].append(inner.content)
            elif block.type == "table_close":
                if rows[0][: len(head)] == list(head):
                    return rows[1:]
                rows = []
        raise AssertionError(f"{self} has no table | {' | '.join(head)} |")


def page(name: str) -> Page:
    """The page of this path in the project."""
    return Page(PROJECT / name)


PAGES = [
    Page(path)
    for pattern in ("*.md", "tests/README.md", *(f"{folder}/**/*.md" for folder in FOLDERS))
    for path in sorted(PROJECT.glob(pattern))
    if "node_modules" not in path.parts
]


def bare(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.replace("`", "")


def help_of(app: Typer, name: str, *path: str) -> str:
    """What `--help` prints of the command at `path`, its lines not broken. name: of the whole program."""
    said = CliRunner().invoke(app, [*path, "--help"], prog_name=name, terminal_width=1000, max_content_width=1000)
    assert said.exit_code == 0
    return said.output


def helps(app: Typer, name: str, *path: str) -> dict[str, str]:
    """The help of every command below `path` by the command's words, in the order of `--help`."""
    said = help_of(app, name, *path)
    if "\nCommands:\n" not in said:
        return {" ".join(path): said}
    listed = said.split("\nCommands:\n")[1].split("\n\n")[0]
    commands = re.findall(r"^  (\S+)", listed, re.MULTILINE)
    return {words: text for command in commands for words, text in helps(app, name, *path, command).items()}


def options(help_text: str) -> list[str]:
    """The long options that a help lists, but --help."""
    return [it for it in re.findall(r"^  (?:-\w, )?(--[\w-]+)", help_text, re.MULTILINE) if it != "--help"]
