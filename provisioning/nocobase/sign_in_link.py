"""What NocoBase's sign-in link says, and how that differs from what is declared. Pure.

It names the client ID and the redirect URI that NocoBase really uses, and whose accounts the sign-in page is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from provisioning import errors
from provisioning.entra import audiences
from provisioning.entra.rules import matches_redirect_uri
from provisioning.foreign import guid, quoted, redact


@dataclass(frozen=True, repr=False)
class SignIn:
    """What NocoBase's sign-in link for its users says; None for what it does not say, or if there is no link.

    The values are compared as they are, and a NocoBase may echo a secret in them: what is shown or stored of them goes
    through `redacted`. tenant: whose accounts the sign-in page is for: a tenant, or `common`, `organizations`,
    `consumers`. secrets: what the link must not show.
    """

    client_id: str | None
    redirect_uri: str | None
    scopes: tuple[str, ...] = ()
    tenant: str | None = None
    secrets: tuple[str, ...] = field(default=(), compare=False)

    @property
    def texts(self) -> tuple[str, ...]:
        """All that the link says."""
        return tuple(filter(None, (self.client_id, self.redirect_uri, self.tenant, *self.scopes)))

    def redacted(self, text: str) -> str:
        """A text of or about this link, for people or for the state."""
        return redact(text, self.secrets)


@dataclass(frozen=True)
class Accounts:
    """Who may sign in to an application. audience: as Entra ID writes it. tenant_id: of the application, if known."""

    audience: str
    tenant_id: str | None


def link_without(url: str, secrets: tuple[str, ...]) -> SignIn:
    """What a link says, with `secrets`, and with each of its values that holds a part of one.

    A secret with a character that separates in a URL, such as `&`, is recognised in the whole URL only.
    """
    link = parse_link(url)
    without = set(parse_link(redact(url, secrets)).texts)
    parts = (text for text in link.texts if redact(text, secrets) not in without)
    return replace(link, secrets=(*secrets, *parts))


def parse_link(url: str) -> SignIn:
    """What a sign-in link of Microsoft's says: an authorization request (RFC 6749); its path begins with a tenant."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
    except ValueError:
        return SignIn(None, None)
    client_id, redirect_uri, scopes = (query.get(name, [None])[0] for name in ("client_id", "redirect_uri", "scope"))
    tenant = parts.path.strip("/").split("/")[0] or None
    return SignIn(client_id, redirect_uri, tuple((scopes or "").split()), tenant)


def sign_in_mismatch(link: SignIn | None, client_id: str, redirect_uris: Sequence[str]) -> tuple[str, str] | None:
    """How the sign-in link differs from what is declared, and the remedy; None if it does not."""
    if link is None:
        return None
    if link.client_id != client_id:
        named = guid(link.redacted(link.client_id)) if link.client_id else "none"
        why = f"its sign-in link names client ID {named} instead of {client_id}"
        return why, "Restart NocoBase if it was set up with environment variables; then run the command again."
    return redirect_uri_mismatch(link, redirect_uris)


def redirect_uri_mismatch(link: SignIn, redirect_uris: Sequence[str]) -> tuple[str, str] | None:
    """How the link's redirect URI differs from what is declared, and the remedy; None if it does not."""
    if any(matches_redirect_uri(link.redirect_uri or "", declared) for declared in redirect_uris):
        return None
    back = quoted(link.redacted(link.redirect_uri)) if link.redirect_uri else "nowhere"
    why = f"it sends users back to {back}, but declared is {', '.join(redirect_uris)}"
    return why, "Set nocobaseUrl to the address that users see, or add this address to redirectUris."


def audience_mismatch(link: SignIn | None, accounts: Accounts | None) -> tuple[str, str] | None:
    """Why the sign-in link lets in nobody of `accounts`, and the remedy; None if it does, or does not say."""
    if link is None or link.tenant is None or accounts is None:
        return None
    reason = audiences.mismatch(link.tenant, accounts.audience, accounts.tenant_id)
    return reason and (link.redacted(reason[0]), link.redacted(reason[1]))


def reject_audience(url: str, link: SignIn | None, accounts: Accounts | None) -> None:
    """Raise NotVerified if the sign-in link lets in nobody of `accounts`."""
    reason = audience_mismatch(link, accounts)
    if reason is not None:
        raise errors.NotVerified(f"Nobody could sign in to NocoBase at {url}", *reason)
