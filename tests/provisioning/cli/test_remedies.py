"""A printed command acts on the stack that it is about, also where another one is selected."""

from __future__ import annotations

import pytest
import typer

from provisioning.cli import up
from provisioning.cli.common import Format, errors_as_sentences, words
from provisioning.cli.remedies import for_stack
from provisioning.errors import ProvisioningError
from provisioning.fleet.runner import Result, StackOutcome

CASES = {
    "To replace them: pulumi config set nocobaseTakeOver 1b4e28ba": (
        "To replace them: pulumi config set --stack prod nocobaseTakeOver 1b4e28ba"
    ),
    "pulumi config set --path 'owners[0]' x, and pulumi up.": (
        "pulumi config set --stack prod --path 'owners[0]' x, and pulumi up --stack prod."
    ),
    "`pulumi stack output adminConsentUrl` prints": "`pulumi stack output --stack prod adminConsentUrl` prints",
    "the last run: pulumi config refresh": "the last run: pulumi config refresh --stack prod",
    "`pulumi stack --show-urns` shows it": "`pulumi stack --stack prod --show-urns` shows it",
    "`pulumi state delete --all --force` releases it": "`pulumi state delete --stack prod --all --force` releases it",
    "    python -m provisioning adopt <client ID>": "    python -m provisioning adopt --stack prod <client ID>",
    "run `python -m provisioning prune --yes`. Then `pulumi up`": (
        "run `python -m provisioning prune --stack prod --yes`. Then `pulumi up --stack prod`"
    ),
}

AS_THEY_ARE = (
    "`pulumi config rm rotateRequestedAt --stack test`",
    "python -m provisioning adopt 1b4e28ba --stack test --yes",
    "`pulumi stack init <name>`, or pulumi stack select <name>",
    "If `pulumi up` is refused, it says so; what the next `pulumi up` does; the next pulumi up enables it",
    "`python -m provisioning doctor --network-only`, `python -m provisioning init`, `pulumi login`, pulumi update",
)


@pytest.mark.parametrize(("said", "named"), CASES.items())
def test_a_command_names_its_stack(said: str, named: str) -> None:
    assert for_stack(said, "prod") == named
    assert for_stack(said, None) == said
    assert for_stack(said, "a; rm") == said


@pytest.mark.parametrize("said", AS_THEY_ARE)
def test_a_command_that_names_a_stack_or_needs_none_stays_as_it_is(said: str) -> None:
    assert for_stack(said, "prod") == said


def test_what_a_command_says_within_is_for_the_stack_that_was_named(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        with errors_as_sentences("prod"):
            words.print("To look for others: python -m provisioning adopt --search <part>")
            raise ProvisioningError("This stack has no application yet. Run `pulumi up`.")

    with pytest.raises(typer.Exit):
        command()
    words.print("Run `pulumi up`.")
    assert capsys.readouterr().err.splitlines() == [
        "To look for others: python -m provisioning adopt --stack prod --search <part>",
        "This stack has no application yet. Run `pulumi up --stack prod`.",
        "Run `pulumi up`.",
    ]


def test_of_many_stacks_each_has_its_own_remedy() -> None:
    failed = Result(
        "prod", StackOutcome.FAILED, error="Use: pulumi config rm tags", detail="Use: pulumi config rm tags"
    )
    assert up.row(failed, Format.JSON)["error"] == "Use: pulumi config rm --stack prod tags"
    assert "pulumi config rm --stack prod tags" in up._ended(failed).plain
