"""`init`: asks for what a stack needs, and writes `Pulumi.<stack>.yaml`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.cli.common import errors_as_sentences, if_interrupted, reject_usage, words
from provisioning.entra.sign_in_settings import NAMESPACE, TENANT, sign_in_settings, use_configuration, use_tenant
from provisioning.errors import ProvisioningError, SettingsError
from provisioning.pulumi_cli import Pulumi

if TYPE_CHECKING:
    from provisioning.doctor.runner import Finding
    from provisioning.init.questions import Prompt

CONSENT_SECONDS = 20.0
"""How long the tenant's policy on consent is waited for."""

Answers = dict[str, str | list[str]]
"""What was asked for, by flag or by question: key → answer, a list for a setting that is one."""


def init(
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", metavar="NAME", help="The stack; without it, it is asked for.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="The tenant: its ID, or a domain of it.")
    ] = None,
    nocobase_url: Annotated[
        str | None, typer.Option("--nocobase-url", metavar="URL", help="NocoBase's address as its users see it.")
    ] = None,
    nocobase_app: Annotated[
        str | None, typer.Option("--nocobase-app", metavar="NAME", help="A sub-application of NocoBase.")
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option(
            "--audience",
            metavar="AUDIENCE",
            help="Whose accounts may sign in: AzureADMultipleOrgs or AzureADandPersonalMicrosoftAccount, which "
            "NocoBase 2 serves, or AzureADMyOrg.",
        ),
    ] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", metavar="NAME", help="A scope; repeatable.")] = None,
    secret_lifetime_days: Annotated[
        str | None, typer.Option("--secret-lifetime-days", metavar="DAYS", help="Days that a client secret is valid.")
    ] = None,
    rotate_every_days: Annotated[
        str | None, typer.Option("--rotate-every-days", metavar="DAYS", help="Days after which a new one is issued.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="STATE", help="Where the state is kept: cloud, local, azblob://…, s3://… or file://…."
        ),
    ] = None,
    secrets_provider: Annotated[
        str | None,
        typer.Option(
            "--secrets-provider",
            metavar="PROVIDER",
            help="What encrypts the secrets in it: default, passphrase, azurekeyvault://…, awskms://…, gcpkms://… or hashivault://….",
        ),
    ] = None,
    no_checks: Annotated[
        bool, typer.Option("--no-checks", help="Do not ask whether tenant and NocoBase are there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: what is not given stays as it is.")] = False,
) -> None:
    """Ask for what a stack needs, check it, and write it to Pulumi.<stack>.yaml.

    On a stack that exists it changes only what was asked for. No secret is asked for or written.
    """
    given = {
        "tenantId": tenant,
        "nocobaseUrl": nocobase_url,
        "nocobaseApp": nocobase_app,
        "audience": audience,
        "scopes": scope,
        "secretLifetimeDays": secret_lifetime_days,
        "rotateEveryDays": rotate_every_days,
    }
    answers: Answers = {key: _stripped(value) for key, value in given.items() if value is not None and value != []}
    ask = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    with errors_as_sentences():
        run = _Init(ask, not no_checks, answers)
        try:
            run.run(stack, state, secrets_provider)
        except ProvisioningError:
            if again := run.again():
                words.print(again)
            raise
        except (typer.Abort, KeyboardInterrupt):
            if run.begun:
                if_interrupted("The stack may be there, and its settings be written. Run the command again.")
            elif again := run.again():
                if_interrupted(f"Nothing was written. {again}")
            raise


class _Init:
    """One run. ask: whether somebody can be asked. check: whether tenant and NocoBase are looked for."""

    def __init__(self, ask: bool, check: bool, answers: Answers) -> None:
        self.ask = ask
        self.check = check
        self.answers = answers
        self.begun = False
        """Whether something may be written."""
        self.written = False
        self._typed: list[str] = []
        """The options of what a person has answered, to repeat the command with them."""

    def again(self) -> str:
        """The command that repeats this one with what was answered, in words; empty if that is nothing."""
        from provisioning.init import questions  # noqa: PLC0415 - as below

        if not self.ask or self.written:
            return ""
        options = list(self._typed)
        for prompt in questions.PROMPTS:
            answer = self.answers.get(prompt.key, [])
            options += [
                f"{prompt.flag} {shlex.quote(one)}" for one in ([answer] if isinstance(answer, str) else answer)
            ]
        return f"To repeat it with these answers: python -m provisioning init {' '.join(options)}" if options else ""

    def run(self, stack: str | None, state: str | None, provider: str | None) -> None:
        """Ask, check, write, and say the next command."""
        from provisioning.entra.audiences import warning_for_nocobase  # noqa: PLC0415 - not for `--help`
        from provisioning.init import questions  # noqa: PLC0415 - pydantic-settings is not for `--help`

        if stack is None and self.ask:
            stack = self._asked("Stack: the environment's name", "", questions.why_invalid_stack)
        if stack is not None:
            self._typed.append(f"--stack {shlex.quote(stack)}")
        backend = self._backend(state)
        engine = Pulumi(stack, {"PULUMI_BACKEND_URL": backend} if backend else {})
        exists = stack is not None and self._exists(stack, engine)
        lacking = [] if self.ask else questions.missing(stack, exists, self.answers)
        kept_in = backend or (Pulumi().backend() if not exists else "")
        if not exists and not self.ask and provider is None and questions.usual_secrets_provider(kept_in) is None:
            lacking.append("--secrets-provider")
        if lacking or stack is None:
            reject_usage(f"Nobody can be asked here, and there is no {', '.join(lacking)}. Nothing was written.")
        _raise_if(questions.why_invalid_stack(stack))
        if exists and provider is not None:
            command = f"pulumi stack change-secrets-provider '{provider}' --stack {stack}"
            raise ProvisioningError(f"The stack {stack} has a secrets provider already. To change it: {command}")
        if not exists:
            provider = self._provider(kept_in, provider)
            self._typed.append(f"--secrets-provider {shlex.quote(provider)}")
        present = self._present(engine) if exists else {}
        for group in questions.GROUPS:
            self._settle(group, present, exists)
        self._propose_rotation(present)
        config = self._config(present)
        self._judge(config)
        if self.check and not self.ask:
            self._look(config, set(self.answers))
        config = self._config(present)
        warning = warning_for_nocobase(config.get("audience", ""), config.get("tenantId"))
        if "audience" in self.answers and warning:
            words.print(f"! {warning}", style="yellow")
        if "tenantId" in self.answers:
            _raise_if(questions.why_invalid_tenant_id(config["tenantId"]))
        self.begun = True
        if not exists:
            engine.create(provider or "")
        written = {TENANT if key == "tenantId" else key: value for key, value in self.answers.items()}
        if written:
            engine.configure(written)
        self.written = True
        self._tell_consent(config)
        self._tell_next(stack, config, backend)

    def _config(self, present: Mapping[str, str]) -> dict[str, str]:
        """What the stack would have."""
        return {**present, **{key: _text(value) for key, value in self.answers.items()}}

    def _settle(self, group: Sequence[Prompt], present: Mapping[str, str], exists: bool) -> None:
        """Ask a group of questions, until what they name is there or a person insists."""
        keys = {prompt.key for prompt in group}
        while True:
            for prompt in group:
                self._prompt(prompt, present, exists)
            if not (self.ask and self.check):
                return
            try:
                self._look(self._config(present), keys & set(self.answers))
            except ProvisioningError:
                for key in keys:
                    self.answers.pop(key, None)
            else:
                return

    def _propose_rotation(self, present: Mapping[str, str]) -> None:
        """Give a lifetime that was named alone the rotation that a person is offered."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        lifetime = self.answers.get("secretLifetimeDays")
        if isinstance(lifetime, str) and "rotateEveryDays" not in {**present, **self.answers}:
            usual = str(questions.usual_rotation(lifetime))
            if usual != questions.default("rotateEveryDays"):
                self.answers["rotateEveryDays"] = usual

    @staticmethod
    def _exists(stack: str, engine: Pulumi) -> bool:
        """Whether the backend has the stack, which may be named with its organization, and its project."""
        known = engine.stacks()
        if stack in known or "/" not in stack:
            return stack in known
        # The backend's own names leave out the organization that is the default.
        alike = [name for name in known if name.rpartition("/")[2] == stack.rpartition("/")[2]]
        for organization, project, name in (replace(engine, stack=one).identity().split("/") for one in alike):
            if stack in (f"{organization}/{name}", f"{organization}/{project}/{name}"):
                return True
        return False

    def _backend(self, state: str | None) -> str | None:
        """The address of the chosen backend; None for the one that Pulumi uses anyway."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        present = os.environ.get("PULUMI_BACKEND_URL", "")
        if state is None and self.ask:
            text = "State: cloud, local, azblob://<container>?storage_account=<account>, s3://<bucket>, file://<folder>"
            state = self._asked(text, present, lambda answer: None if not answer else _refuses_state(answer))
        if not state:
            return None
        _raise_if(_refuses_state(state))
        self._typed.append(f"--state {shlex.quote(state)}")
        chosen = questions.state_url(state)
        return None if chosen == present else chosen

    def _provider(self, url: str, provider: str | None) -> str:
        """What encrypts the secrets of a new stack."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        if provider is None and self.ask:
            usual = questions.usual_secrets_provider(url) or ""
            if usual and (reason := questions.why_invalid_secrets_provider(usual, os.environ)):
                words.print(f"  {usual}: {reason}", style="yellow")
                usual = ""
            return self._asked(
                "Secrets provider: default (Pulumi Cloud), passphrase, azurekeyvault://<vault>.vault.azure.net/keys/<key>",
                usual,
                lambda answer: questions.why_invalid_secrets_provider(answer, os.environ),
            )
        chosen = provider or questions.usual_secrets_provider(url) or ""
        _raise_if(questions.why_invalid_secrets_provider(chosen, os.environ))
        return chosen

    def _present(self, engine: Pulumi) -> dict[str, str]:
        """What an existing stack has, its tenant included."""
        config = engine.configuration()[0]
        provider = engine.configuration_of(NAMESPACE)
        use_configuration(provider)
        tenant = provider.get(TENANT)
        return {**config, **({"tenantId": tenant} if tenant else {})}

    def _prompt(self, prompt: Prompt, present: Mapping[str, str], exists: bool) -> None:
        """Ask, unless a flag has answered or nobody can be asked. An answer that changes nothing is none."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        key = prompt.key
        if key in self.answers or not self.ask:
            return
        usual = questions.default(key)
        if key == "rotateEveryDays" and isinstance(lifetime := self.answers.get("secretLifetimeDays"), str):
            usual = str(questions.usual_rotation(lifetime))
        if key == questions.TENANT.key:
            usual = sign_in_settings()["tenantId"]
        shown = questions.as_line(present[key]) if present.get(key) else usual

        def refuses(answer: str) -> str | None:
            if key == questions.TENANT.key:
                return questions.why_invalid_tenant(answer)
            known = {**present, **{name: _text(value) for name, value in self.answers.items()}}
            proposed = {name: value for name, value in known.items() if name != "tenantId"} | {
                key: _text(self._as_answer(key, answer))
            }
            return questions.why_invalid_setting(proposed, key)

        answer = self._asked(prompt.text, shown, refuses)
        if answer != (shown if exists and present.get(key) else questions.default(key)):
            self.answers[key] = self._as_answer(key, answer)

    @staticmethod
    def _as_answer(key: str, answer: str) -> str | list[str]:
        from provisioning.init import questions  # noqa: PLC0415 - as above

        return questions.as_items(answer) if key == "scopes" else answer

    def _asked(self, text: str, default: str, refuses: Callable[[str], str | None]) -> str:
        """An answer that is taken. Raises typer.Abort if the person leaves."""
        while True:
            answer: str = typer.prompt(text, default=default, show_default=bool(default), err=True)
            reason = refuses(answer.strip())
            if reason is None:
                return answer.strip()
            words.print(f"  {reason}", style="yellow")

    def _judge(self, config: dict[str, str]) -> None:
        """Take the address as it is shown from now on. Raises ProvisioningError if something is wrong."""
        from provisioning.init import questions  # noqa: PLC0415 - as above
        from provisioning.program.settings import validate  # noqa: PLC0415 - as above

        if "tenantId" in self.answers:
            _raise_if(questions.why_invalid_tenant(config["tenantId"]))
        settings, problems = validate({key: value for key, value in config.items() if key != "tenantId"})
        if settings is None:
            raise SettingsError(problems)
        if "nocobaseUrl" in self.answers:
            self.answers["nocobaseUrl"] = settings.nocobase_url

    def _look(self, config: Mapping[str, str], asked: set[str]) -> None:
        """Look whether the tenant and the NocoBase are there that were asked for.

        Raises ProvisioningError if not, and nobody overrides it.
        """
        from provisioning.doctor.nocobase import ask_plugins, ask_server  # noqa: PLC0415 - as above
        from provisioning.doctor.tenant import ask_tenant  # noqa: PLC0415 - as above
        from provisioning.program.settings import validate  # noqa: PLC0415 - as above

        if "tenantId" in asked and isinstance(tenant := self.answers["tenantId"], str):
            finding = self._found("Tenant", lambda: ask_tenant(tenant))
            if finding is not None:
                self.answers["tenantId"] = str(finding.value)
        # What else is wrong is told of its own.
        place = {key: config[key] for key in ("nocobaseUrl", "nocobaseApp", "nocobaseHeaders") if key in config}
        settings, _ = validate(place)
        if (
            {"nocobaseUrl", "nocobaseApp"} & asked
            and settings is not None
            and self._found("NocoBase", lambda: ask_server(settings))
        ):
            self._found("Email manager", lambda: ask_plugins(settings))

    def _found(self, name: str, ask: Callable[[], Finding]) -> Finding | None:
        """Ask, and tell; None if the answer is bad and a person goes on all the same."""
        try:
            finding = ask()
        except ProvisioningError as error:
            said, remedy = str(error), None
        else:
            if finding.usable:
                words.print(f"✓ {name}: {finding.said}")
                return finding
            said, remedy = finding.said, finding.remedy
        words.print(f"✗ {name}: {said}{f' → {remedy}' if remedy else ''}", style="yellow")
        if self.ask and typer.confirm("Go on all the same?", err=True):
            return None
        raise ProvisioningError("Nothing was written. If it is to be set up later: the same command with --no-checks.")

    def _tell_consent(self, config: Mapping[str, str]) -> None:
        """Say who has to consent to the scopes, as the tenant's policy says it to whoever is signed in."""
        from provisioning.doctor.consent import ask_rule, check_unread_rule  # noqa: PLC0415 - as above
        from provisioning.doctor.runner import Outcome, Question, ask_all  # noqa: PLC0415 - as above
        from provisioning.program.settings import validate  # noqa: PLC0415 - as above

        settings, _ = validate({key: value for key, value in config.items() if key != "tenantId"})
        if settings is None or settings.tenant_consent:
            return
        ask = partial(ask_rule, settings, deployed=False) if self.check else check_unread_rule
        use_tenant(config.get("tenantId"))
        for found in ask_all([Question("consent", ask, limit=CONSENT_SECONDS)]):
            mark, style = ("✓", None) if found.outcome is Outcome.OK else ("!", "yellow")
            words.print(f"{mark} Consent: {found.said}.", style=style)
            for line in (found.remedy or "").splitlines():
                words.print(f"  {line}")

    def _tell_next(self, stack: str, config: dict[str, str], backend: str | None) -> None:
        """Say what was written, and the commands that come next."""
        changed = ", ".join(self.answers) or "nothing"
        words.print(f"Pulumi.{stack.rpartition('/')[2]}.yaml: {changed} written.")
        lines = []
        if backend:
            lines.append(f"export PULUMI_BACKEND_URL='{backend}'")
        if not sign_in_settings().is_named("clientId", "clientIdFilePath", "useMsi"):
            lines.append(f"az login --tenant {config.get('tenantId', '<tenant>')}")
        if not os.environ.get("NOCOBASE_API_KEY"):
            lines.append("read -rs NOCOBASE_API_KEY && export NOCOBASE_API_KEY")
        lines += [f"python -m provisioning doctor --stack {stack}", f"pulumi up --stack {stack}"]
        words.print("Next:\n" + "\n".join(f"    {line}" for line in lines))


def _stripped(value: str | list[str]) -> str | list[str]:
    """A flag's value as a person meant it: without the blanks around it."""
    return value.strip() if isinstance(value, str) else [item.strip() for item in value]


def _text(value: str | list[str]) -> str:
    """An answer as the engine hands a setting over."""
    import json  # noqa: PLC0415 - needed for lists only

    return value if isinstance(value, str) else json.dumps(value)


def _refuses_state(answer: str) -> str | None:
    from provisioning.init import questions  # noqa: PLC0415 - as above

    known = questions.state_url(answer)
    return None if known else "The state is kept in: cloud, local, azblob://…, s3://… or file://…."


def _raise_if(reason: str | None) -> None:
    if reason:
        raise ProvisioningError(f"{reason} Nothing was written.")
