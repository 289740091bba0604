"""`explain`: an error of Microsoft's or of NocoBase's log in plain words, with the remedy."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Annotated

import typer
from rich.text import Text

from provisioning.cli.common import Format, Output, data, reject_usage, show_rows, words
from provisioning.entra import error_codes


def explain(
    text: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT", help="A code, a page or lines of a log, as they were copied; - reads them from stdin."
        ),
    ],
    output: Output = Format.TABLE,
) -> None:
    """Say in plain words what an error of Entra ID, IMAP, SMTP or the network means, and what to do.

    Exit codes: 0 everything was known, 1 something was not, 2 wrong usage.
    """
    if text != ["-"]:
        given = " ".join(text)
    elif sys.stdin is None:
        reject_usage("- reads the text from stdin, which is closed here.")
    else:
        if sys.stdin.isatty():
            words.print("Paste the text; at its end press Enter, then Ctrl-D.", style="dim")
        given = sys.stdin.read()
    found = error_codes.find_with_texts(given)
    if output is Format.TABLE:
        for one in found:
            _print(one)
    elif found or output is Format.JSON:
        show_rows([_row(one) for one in found], output)
    if not found:
        words.print("Nothing that is known here is in it.", style="red")
        _name_nearest(given, found)
        for step in error_codes.texts().otherwise:
            words.print(f"  → {step}", style="bold")
    for one in found:
        if one.entry is None:
            words.print(f"{one.code} is not known here.{_page(one.code)}", style="red")
            _name_nearest(one.code, found)
    if not found or any(one.entry is None for one in found):
        raise typer.Exit(1)


def _row(found: error_codes.Found) -> dict[str, object]:
    entry = found.entry
    return {
        "code": found.code,
        "known": entry is not None,
        "title": entry and entry.title,
        "meaning": entry and entry.meaning,
        "remedy": entry and entry.remedy,
        "deployer": entry and entry.deployer,
        "source": entry and entry.source,
    }


def _print(found: error_codes.Found) -> None:
    if found.entry is None:
        return
    console = data()
    console.print(Text.assemble((found.code, "bold"), f"  {found.entry.title}"))
    console.print(Text(f"  {found.entry.meaning}"))
    console.print(Text(f"  → {found.entry.remedy}", style="bold"))
    if found.entry.deployer:
        console.print(Text(f"  → At the sign-in of the deployer: {found.entry.deployer}", style="bold"))
    console.print(Text(f"  Source: {found.entry.source}", style="dim"))


def _page(code: str) -> str:
    number = code.removeprefix("AADSTS")
    return f" Microsoft's own page: {error_codes.LOOK_UP}{number}" if number != code else ""


def _name_nearest(text: str, shown: Collection[error_codes.Found]) -> None:
    """Say which codes may be meant, but for those that are shown anyway."""
    told = {code for one in shown if one.entry for code in (one.entry.code, *one.entry.also)}
    close = [code for code in error_codes.nearest(text) if code not in told]
    if close:
        words.print(f"Nearest: {', '.join(close)}.")
