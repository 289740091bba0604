"""A stack with a NocoBase 3, in this process: the plan of the client secrets, and the push as the engine drives it.

The engine is modelled as far as the push concerns it: a new secret is issued before the push, what the plan dropped is
removed after it, and only if neither the push nor `require_all` failed. What NocoBase uses is asserted after each run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config

from provisioning import connections
from provisioning.entra import token_check
from provisioning.entra.audiences import mismatch
from provisioning.entra.client_secret_plan import Policy, SecretPlan, Slot, plan_secrets, rfc3339, secret_name
from provisioning.entra.rules import Audience
from provisioning.errors import ProvisioningError
from provisioning.foreign import parsed_json
from provisioning.nocobase import push_resource as by_rest
from provisioning.nocobase.installation import Configuration, Installation
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase3 import before_change, push_resource
from provisioning.nocobase3.push_resource import ConfigurationProvider
from provisioning.program import audience
from provisioning.program.last_state import Deployed, read_state
from provisioning.program.settings import Settings
from provisioning.program.validation import validate
from provisioning.resource_types import APPLICATION_NAME, APPLICATION_TYPE, PASSWORD_TYPE, PUSH_TYPE, STACK_TYPE
from sandbox.nocobase3.stand_in import StandIn

URL = "https://crm.example.com"
API_KEY = "KEY0123456789"
CLIENT_ID = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"
TENANT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
START = datetime(2027, 1, 1, tzinfo=UTC)
PLAIN = httpx.Client


class Killed(BaseException):
    """The process was killed."""


class RunFailed(Exception):
    """A run ended with an error; nothing was removed after the push."""


def secret_of(slot: Slot, issued: str) -> str:
    """The value of a client secret."""
    return f"secret~of~{slot}~{issued}"


@dataclass
class Stack:
    """One stack. config: NocoBase's configuration. passwords: the client secrets in Entra ID, by their values.

    restarts: what the restart command does; None if there is none. said: what the program warned of. audience: by the
    settings. registered: the application's.
    """

    config: Path
    server: StandIn
    audience: str = "AzureADandPersonalMicrosoftAccount"
    restarts: Callable[[], int] | None = None
    now: datetime = START
    policy: Policy = field(default_factory=lambda: Policy("mail"))
    passwords: dict[Slot, dict[str, Any]] = field(default_factory=dict)
    push: dict[str, Any] | None = None
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    served: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    registered: str | None = None

    @property
    def state(self) -> Deployed:
        """What the next run reads."""
        application = {"objectId": "o", "clientId": CLIENT_ID, "displayName": "mail", "signInAudience": self.registered}
        passwords = {(PASSWORD_TYPE, secret_name(APPLICATION_NAME, slot)): one for slot, one in self.passwords.items()}
        pushes = {**({"nocobase": self.push} if self.push else {}), **self.others}
        return read_state(
            {
                (APPLICATION_TYPE, APPLICATION_NAME): application,
                **passwords,
                **{(PUSH_TYPE, name): outputs for name, outputs in pushes.items()},
                (STACK_TYPE, "stack"): {"tenantId": TENANT},
            }
        )

    def plan(self) -> SecretPlan:
        """The plan of the next run."""
        declared = ["nocobase", *self.others]
        return plan_secrets(self.state.secrets_for(declared), self.now, self.policy)

    def installation(self) -> Installation:
        """The NocoBase 3 by the settings."""
        values = {
            "nocobaseUrl": URL,
            "nocobaseConfigFile": str(self.config),
            "audience": self.audience,
            **({"nocobaseRestart": '["restart-nocobase"]'} if self.restarts else {}),
        }
        return declared_by(values).installations[0]

    def declared(self, plan: SecretPlan) -> dict[str, Any]:
        """What the program declares of the push."""
        installation = self.installation()
        configuration = installation.configuration
        assert configuration is not None
        return {
            "nocobase_url": installation.url,
            "nocobase_app": None,
            "mapping": None,
            "tenant_id": TENANT,
            "client_id": CLIENT_ID,
            "client_secret": self.passwords[plan.active]["value"],
            "slot": plan.active.value,
            "since": rfc3339(plan.since),
            "redirect_uris": list(installation.redirect_uris),
            "take_over": None,
            "audience": self.audience,
            "logins": [""],
            "several": bool(self.others),
            "protected": None,
            "proved_client_id": None,
            "proved_redirect_uri": None,
            "problem": None,
            "config_file": configuration.place,
            "mail_provider": configuration.provider,
            "restart": list(configuration.restart),
            "scopes": list(configuration.scopes),
            "written_client_id": CLIENT_ID,
            "made": None,
            "restart_due": None,
            **self.more,
        }

    def provider(self) -> ConfigurationProvider:
        """The provider's process of a run."""
        return configured(ConfigurationProvider())

    def up(self) -> str:
        """One `pulumi up`, which plans by the state before its refresh; returns what was done. Raises RunFailed."""
        plan = self._issue()
        self._register()
        if self.push is not None:
            self.refresh()
        news, provider = self.declared(plan), self.provider()
        news = dict(provider.check({}, news).inputs)
        try:
            done = self._step(provider, news)
        except ProvisioningError as error:
            self.watch()
            raise RunFailed(str(error)) from None
        self.watch()
        self._end(plan)
        return done

    def _register(self) -> None:
        """Change the application's audience, as the program declares it."""

        def pages(one: Installation, kept_in: Configuration) -> frozenset[str] | None:
            return before_change.sign_in_pages(one, kept_in, NocoBaseLogin(api_key=API_KEY), CLIENT_ID)

        wanted = Audience(self.audience)
        accounts = audience.plan_of(wanted, [self.installation()], self.state, pages)
        self.said += [said] if (said := audience.in_words(accounts, wanted)) else []
        self.registered = accounts.audience.value

    def _issue(self) -> SecretPlan:
        plan = self.plan()
        for slot, one in plan.slots.items():
            if slot not in self.passwords or self.passwords[slot]["displayName"] != one.display_name:
                self.passwords[slot] = {
                    "displayName": one.display_name,
                    "keyId": f"key {one.display_name}",
                    "rotateWhenChanged": {"issued": rfc3339(one.issued)},
                    "endDate": rfc3339(one.end),
                    "startDate": rfc3339(one.issued),
                    "value": secret_of(slot, rfc3339(one.issued)),
                }
        return plan

    def _step(self, provider: ConfigurationProvider, news: dict[str, Any]) -> str:
        if self.push is None:
            self.push = dict(provider.create(news).outs or {})
            return "create"
        if not provider.diff("id", self.push, news).changes:
            return "same"
        self.push = dict(provider.update("id", self.push, news).outs or {})
        return "update"

    def _end(self, plan: SecretPlan) -> None:
        assert self.push is not None
        removes = any(slot not in plan.slots for slot in self.passwords)
        problems = [one.get("problem") for one in (self.push, *self.others.values())]
        due = self.push.get("restart_due")
        if any(problems):
            raise RunFailed("\n".join(filter(None, problems)))
        if due and removes:
            raise RunFailed(due)
        if due:
            self.said.append(due)
        self.passwords = {slot: one for slot, one in self.passwords.items() if slot in plan.slots}
        self.watch()

    def refresh(self) -> bool:
        """`pulumi refresh`; returns whether the push is still there."""
        assert self.push is not None
        found = self.provider().read("id", self.push)
        self.push = dict(found.outs or {}) if found.id else None
        return self.push is not None

    def destroy(self) -> None:
        """`pulumi destroy`, which refreshes first. Raises ProvisioningError."""
        if self.refresh():
            assert self.push is not None
            self.provider().delete("id", self.push)
        self.push = None

    def watch(self) -> None:
        """Assert that the running NocoBase uses a secret that Entra ID has, once it was ever verified to use one."""
        used = self.server.provider("outlook") if self.server.running else None
        values = {one["value"] for one in self.passwords.values()}
        somebody_elses = used is None or not str(used.get("clientSecret")).startswith("secret~of~")
        if used is not None and self.served and not somebody_elses:
            assert used["clientSecret"] in values, "NocoBase uses a secret that was removed"
            if self.registered and used["clientId"] == CLIENT_ID:
                shut_out = mismatch(used["tenant"], self.registered, TENANT)
                assert shut_out is None, "NocoBase's sign-in page takes nobody of the application's audience"
        self.served = self.served or bool(self.push and self.push.get("slot"))
        assert len(self.passwords) <= 2

    def pass_days(self, days: int) -> None:
        """Time goes by."""
        self.now += timedelta(days=days)


def declared_by(values: Mapping[str, str]) -> Settings:
    """The settings that a stack's configuration has."""
    found, problems = validate(values)
    assert found is not None, problems
    return found


def configured(provider: ConfigurationProvider, seconds: int = 0) -> ConfigurationProvider:
    """`provider` as the engine starts it for a run, by default without patience."""
    patience = {"nocobase-outlook:nocobasePatienceSeconds": str(seconds)}
    provider.configure(ConfigureRequest(Config(patience, "nocobase-outlook")))
    return provider


def connect(monkeypatch: pytest.MonkeyPatch, servers: Mapping[str, Callable[[httpx.Request], httpx.Response]]) -> None:
    """Have requests go to `servers`, by their hosts; Entra ID is not asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        return servers[request.url.host](request)

    class Client(PLAIN):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "transport": httpx.MockTransport(answer)})

    monkeypatch.setattr(httpx, "Client", Client)
    monkeypatch.setattr(connections, "trusted", lambda: None)
    monkeypatch.setenv("NOCOBASE_API_KEY", API_KEY)
    monkeypatch.setattr(token_check, "wait_until_accepted", lambda *_: None)
    monkeypatch.setattr(by_rest, "is_another_stacks", lambda *_: False)
    for module in (push_resource, by_rest, before_change):
        monkeypatch.setattr(module, "whose_application", lambda _: "", raising=False)


def over_http(server: StandIn) -> Callable[[httpx.Request], httpx.Response]:
    """The stand-in, as httpx's mock transport asks it."""

    def answer(request: httpx.Request) -> httpx.Response:
        if not server.running:
            raise httpx.ConnectError("refused", request=request)
        body = parsed_json(request.content) if request.content else None
        origin = f"{request.url.scheme}://{request.url.host}"
        found = server.answer(request.method, request.url.path, origin, request.headers.get("x-api-key"), body)
        return httpx.Response(found.status, json=dict(found.body))

    return answer
