"""A tenant that the contract tests run on, the sandbox's or a real one: requests that wait, and a careful broom.

A `Tenant` changes and removes only what it made itself: every object's display name starts with a prefix that nobody
can guess, and anything else is refused before a request is sent. `clean_up` leaves nothing, nor in the deleted items.
"""

from __future__ import annotations

import json
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx

Json = dict[str, Any]
T = TypeVar("T")

ACCEPTED = 0
"""What `token_error` answers for a secret that the token endpoint takes."""
NOT_CONSENTED = 65001
"""What `device_token_error` answers for a user who was asked for consent, and cancelled."""
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
NEW_APPLICATION = frozenset({700016, 7000229})
"""How a server of Entra ID refuses an application or service principal that it does not know yet."""
DECLINED = frozenset({"authorization_declined", "access_denied", "expired_token", "code_expired"})
PASSING = frozenset({403, 404, 429, 500, 502, 503, 504})
"""Refusals that eventual consistency or a busy service may give for a while."""
NOT_SEEN_YET = "does not reference a valid application object"
"""How Graph refuses a service principal while it has not seen the new application (as recorded, with 400)."""
KINDS = ("servicePrincipals", "applications")
"""What has a display name; in the order in which it is removed."""


class ForeignObjectError(Exception):
    """A change to something that this run did not make. Nothing was sent."""


class LeftoverError(Exception):
    """Something could not be removed; the message names it, so that a person can."""


@dataclass(frozen=True)
class Access:
    """How to reach a tenant.

    graph, login: base addresses without a version or a slash at the end. bearer: gives a token for Graph.
    caller: object id of the caller. patience: seconds to wait for eventual consistency; pause: between two looks.
    looks: how often a secret is asked about after it was accepted. kind: "app" or "user", as the access token says;
    rights: the names of its permissions. somebody: object id of a user, if one is named. interactive: whether a person
    signs in where a test asks for it.
    """

    graph: str
    login: str
    tenant_id: str
    caller: str
    bearer: Callable[[], str]
    tls: ssl.SSLContext
    patience: float
    pause: float
    looks: int
    kind: str
    rights: tuple[str, ...]
    somebody: str | None = None
    interactive: bool = False


@dataclass
class Made:
    """An object of this run."""

    kind: str
    app_id: str
    deleted: bool = False


def new_prefix() -> str:
    """A beginning of names that nothing else in the tenant has: 128 random bits, and words for whoever finds one."""
    return f"contract-test-{secrets.token_hex(16)}-"


class Tenant:
    """One test's view of a tenant. Every method fails with AssertionError where the tenant does not behave."""

    def __init__(self, access: Access, prefix: str) -> None:
        self.access = access
        self.prefix = prefix
        self.made: dict[str, Made] = {}
        self._grants: set[str] = set()
        self._http = httpx.Client(verify=access.tls, timeout=60)

    # Requests

    def call(self, method: str, path: str, body: Json | None = None, *, expect: int) -> Json:
        """One request to Graph v1.0, repeated while it may yet be answered with the status `expect`."""
        answer = self.answer(method, path, body, settled=expect)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code}, not {expect}: {answer.text}"
        return _json(answer)

    def answer(self, method: str, path: str, body: Json | None = None, *, settled: int | None) -> httpx.Response:
        """The same, whatever the answer is at the end. settled: the status that ends it; None: asked once."""
        self._check_own(method, path, body or {})
        return self._eventually(
            lambda: self._send(method, path, body),
            lambda given: settled in (None, given.status_code) or not _may_pass(method, given),
        )

    def status(self, method: str, path: str, body: Json, *, settled: int) -> int:
        """The status of `answer`."""
        return self.answer(method, path, body, settled=settled).status_code

    def until(self, path: str, good: Callable[[Json], bool]) -> Json:
        """What GET `path` answers once it is `good`, or at the end of the patience."""
        answer = self._eventually(
            lambda: self._send("GET", path), lambda given: given.status_code == 200 and good(_json(given))
        )
        assert answer.status_code == 200, f"GET {path}: {answer.status_code}: {answer.text}"
        return _json(answer)

    def token_error(self, client_id: str, secret: str, expect: int | None = None, authority: str | None = None) -> int:
        """The AADSTS number with which the token endpoint refuses a secret, or ACCEPTED.

        expect: asked until it is that; None: asked once. authority: another one than the tenant.
        """
        return self._eventually(
            lambda: self._ask_token(client_id, secret, authority or self.access.tenant_id),
            lambda number: expect is None or number == expect,
        )

    def device_token_error(self, client_id: str, scopes: Sequence[str], show: Callable[[str], None]) -> int:
        """The AADSTS number with which a user gets no token by device code, or ACCEPTED. show: gets Microsoft's words.

        A user who cancels has not consented.
        """
        return self._eventually(
            lambda: self._ask_device_token(client_id, scopes, show), lambda number: number not in NEW_APPLICATION
        )

    def _ask_device_token(self, client_id: str, scopes: Sequence[str], show: Callable[[str], None]) -> int:
        base = f"{self.access.login}/{self.access.tenant_id}/oauth2/v2.0"
        begun = _json(self._http.post(f"{base}/devicecode", data={"client_id": client_id, "scope": " ".join(scopes)}))
        if "device_code" not in begun:
            return int(begun["error_codes"][0])
        show(begun["message"])
        form = {"grant_type": DEVICE_CODE, "client_id": client_id, "device_code": begun["device_code"]}
        while True:
            answer = self._http.post(f"{base}/token", data=form)
            if answer.status_code == 200:
                return ACCEPTED
            refusal = _json(answer)
            if refusal["error"] not in ("authorization_pending", "slow_down"):
                return NOT_CONSENTED if refusal["error"] in DECLINED else int(refusal["error_codes"][0])
            time.sleep(begun["interval"])

    def _eventually(self, ask: Callable[[], T], good: Callable[[T], bool]) -> T:
        deadline = time.monotonic() + self.access.patience
        while not good(answer := ask()) and time.monotonic() < deadline:
            time.sleep(self.access.pause)
        return answer

    def _send(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.access.bearer()}", "consistencylevel": "eventual"}
        answer = self._http.request(method, f"{self.access.graph}/v1.0{path}", json=body, headers=headers)
        self._note(method, path, answer)
        return answer

    def _ask_token(self, client_id: str, secret: str, authority: str) -> int:
        form = {
            "client_id": client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": f"{self.access.graph}/.default",
        }
        address = f"{self.access.login}/{authority}/oauth2/v2.0/token"
        answer = self._http.post(address, data=form)
        return ACCEPTED if answer.status_code == 200 else int(_json(answer)["error_codes"][0])

    # Making

    def name(self, words: str = "mail") -> str:
        """A display name of this run."""
        return f"{self.prefix}{words}"

    def create_application(self, **properties: Any) -> Json:
        """A new application, seen by Graph."""
        made = self.call("POST", "/applications", {"displayName": self.name(), **properties}, expect=201)
        return self.call("GET", f"/applications/{made['id']}", expect=200)

    def create_service_principal(self, application: Json) -> Json:
        """A new service principal, seen by Graph."""
        made = self.call("POST", "/servicePrincipals", {"appId": application["appId"]}, expect=201)
        return self.call("GET", f"/servicePrincipals/{made['id']}", expect=200)

    def add_password(self, application: Json, **credential: Any) -> Json:
        """A new secret; the answer holds its text."""
        path = f"/applications/{application['id']}/addPassword"
        return self.call("POST", path, {"passwordCredential": {"displayName": "a", **credential}}, expect=200)

    def _note(self, method: str, path: str, answer: httpx.Response) -> None:
        """Remember what was made and deleted, whatever the test makes of the answer."""
        kind, _, identifier = path.lstrip("/").partition("/")
        if method == "POST" and answer.status_code == 201 and kind in KINDS:
            item = _json(answer)
            self.made[item["id"]] = Made(kind, item["appId"])
        elif method == "POST" and answer.status_code == 201:
            self._grants.add(_json(answer)["id"])
        elif method == "DELETE" and answer.status_code == 204 and identifier in self.made:
            gone = self.made[identifier]
            for other in self.made.values():
                # An application takes its service principal with it.
                if other is gone or (kind == "applications" and other.app_id == gone.app_id):
                    other.deleted = True

    # The guard

    def _check_own(self, method: str, path: str, body: Json) -> None:
        """Raise ForeignObjectError for a change to anything that is not of this run."""
        if method == "GET":
            return
        kind, _, rest = path.lstrip("/").removeprefix("directory/").partition("/")
        identifier = rest.partition("/")[0]
        named = "displayName" in body or (method, path) == ("POST", "/applications")
        if kind in (*KINDS, "deletedItems") and named:
            self._check_name(body, path)
        own = {
            "applications": not identifier or identifier in self.made,
            "servicePrincipals": identifier in self.made or self._made_app_id(body.get("appId")),
            "deletedItems": identifier in self.made,
            "oauth2PermissionGrants": identifier in self._grants or body.get("clientId") in self.made,
        }
        if not own.get(kind, False):
            raise ForeignObjectError(f"{method} {path}: this run did not make that; nothing was sent")

    def _made_app_id(self, app_id: object) -> bool:
        return any(item.app_id == app_id for item in self.made.values())

    def _check_name(self, item: Json, what: str) -> None:
        if not str(item.get("displayName")).startswith(self.prefix):
            raise ForeignObjectError(f"{what}: its name does not start with this run's prefix; it was left alone")

    # The broom

    def clean_up(self) -> None:
        """Remove everything of this run for good. Goes on after a failure; raises LeftoverError at the end."""
        left: list[str] = []
        with closing(self._http):
            lost = _attempt(self._find_lost, "looking for objects whose creation was not answered", left)
            for identifier, item in lost or []:
                self.made.setdefault(identifier, item)
            for kind in KINDS:
                for identifier in [key for key, item in self.made.items() if item.kind == kind]:
                    _attempt(partial(self._remove, identifier), f"{kind}/{identifier}", left)
        if left:
            raise LeftoverError(f"Left in the tenant, names starting with {self.prefix}: {'; '.join(left)}")

    def _find_lost(self) -> list[tuple[str, Made]]:
        """What has this run's prefix though no answer said that it was made."""
        query = f"?$filter=startswith(displayName,'{self.prefix}')&$count=true"
        found = []
        for kind in KINDS:
            for item in self.until(f"/{kind}{query}", lambda _: True)["value"]:
                self._check_name(item, kind)
                found.append((item["id"], Made(kind, item["appId"])))
        return found

    def _remove(self, identifier: str) -> None:
        """Delete one object, then empty it out of the deleted items. Its name is looked at before each step."""
        item = self.made[identifier]
        path, binned = f"/{item.kind}/{identifier}", f"/directory/deletedItems/{identifier}"
        if not item.deleted:
            # A new object may be hidden for a while, so one 404 does not mean that it is gone.
            found = self._eventually(lambda: self._send("GET", path), lambda given: given.status_code == 200)
            if found.status_code == 200:
                self._check_name(_json(found), path)
                self.call("DELETE", path, expect=204)
                self._eventually(lambda: self._send("GET", binned), lambda given: given.status_code == 200)
        found = self._send("GET", binned)
        if found.status_code == 200:
            self._check_name(_json(found), binned)
            self.call("DELETE", binned, expect=204)
        elif found.status_code != 404:
            raise LeftoverError(f"{found.status_code} from {binned}")


def _attempt(step: Callable[[], T], what: str, failed: list[str]) -> T | None:
    try:
        return step()
    except (AssertionError, ForeignObjectError, LeftoverError, httpx.HTTPError) as problem:
        failed.append(f"{what} ({problem})")
        return None


def _may_pass(method: str, answer: httpx.Response) -> bool:
    """Whether the same request may be answered otherwise in a moment."""
    if method == "GET":
        return True
    return answer.status_code in PASSING or (answer.status_code == 400 and NOT_SEEN_YET in answer.text)


def _json(answer: httpx.Response) -> Json:
    document: Json = json.loads(answer.content) if answer.content else {}
    return document
