"""The entry of one mail provider in NocoBase 3's configuration: read, written, emptied and removed, as text. Pure.

`mail.providers.<name>` has the keys OURS, which this program sets, and maybe others, which it leaves alone. Every edit
replaces or inserts text at places of its own; all other characters stay as they are, comments and line ends included.
The result is read again: it must have what was to be written, and else say the same as before. What cannot be edited
so is rejected by NotEditable, and nothing is written.

Source: the documentation of NocoBase 3's mail plugin (app-plugin-mail, November 2026). Its server does not start with a
`mail` or `mail.providers` that is null, so none is left behind.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from provisioning.nocobase3.yaml_text import (
    Kind,
    Node,
    NotEditable,
    after_line,
    comments_in,
    end_of,
    line_break,
    line_end,
    line_start,
    parse,
    quote,
)

MAIL, PROVIDERS = "mail", "providers"
TYPE, CLIENT_ID, CLIENT_SECRET, TENANT, SCOPES = "type", "clientId", "clientSecret", "tenant", "scopes"
OURS = (TYPE, CLIENT_ID, CLIENT_SECRET, TENANT, SCOPES)
"""The keys of an entry that this program writes."""

ENTRY = "entry"
"""What `made_by` calls the entry of a mail provider."""

MICROSOFT = "microsoft"

ENABLED, FALSE = "enabled", ("false", "False", "FALSE")
"""The key that switches a provider off, and how."""

STEP = 2
"""Blanks by which a new level is indented."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""What the name of a provider's entry may be."""

WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
"""Names that a reader of YAML may take for something else than a text."""

LARGEST = 1_000_000
"""Bytes of a configuration."""

BOM = "\ufeff"

Data = Mapping[str, "Data"] | Sequence[str] | str
Splice = tuple[int, int, str]
"""Where a text is replaced, from and to, and by what."""


@dataclass(frozen=True)
class Entry:
    """What this program writes. tenant: whose accounts the sign-in page takes. scopes: what is asked for, in order."""

    client_id: str
    client_secret: str = field(repr=False)
    tenant: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a configuration has under the name of a provider; empty values if nothing.

    others: its keys that are not OURS. enabled: unless it is switched off. elsewhere: the client ids of the other
    entries for Microsoft, by name.
    """

    exists: bool = False
    type: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    tenant: str | None = None
    scopes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    enabled: bool = True
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def holds(self, entry: Entry) -> bool:
        """Whether it says what `entry` says; the order of the scopes does not matter."""
        return (
            self.type == MICROSOFT
            and (self.client_id, self.client_secret) == (entry.client_id, entry.client_secret)
            and self.tenant == entry.tenant
            and sorted(self.scopes) == sorted(entry.scopes)
        )


def decoded(content: bytes) -> str:
    """The text of a configuration. Raises NotEditable for one that is not UTF-8, or too large."""
    if len(content) > LARGEST:
        raise NotEditable(f"it has more than {LARGEST} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise NotEditable("it is not UTF-8") from None


def read(text: str, name: str) -> Found:
    """What the configuration `text` has under `name`. Raises NotEditable if this program could not edit that."""
    providers = _providers(parse(text.removeprefix(BOM)))
    if providers is None:
        return Found()
    elsewhere = {
        str(key.text): _scalar(value, CLIENT_ID)
        for key, value in providers.pairs
        if key.text != name and value.kind is Kind.MAPPING and _scalar(value, TYPE) == MICROSOFT
    }
    pair = providers.get(name)
    if pair is None or pair[1].null:
        return Found(elsewhere=elsewhere)
    entry = _editable(pair[1], f"mail.providers.{name}")
    tenant = entry.get(TENANT)
    return Found(
        exists=True,
        type=_scalar(entry, TYPE),
        client_id=_scalar(entry, CLIENT_ID),
        client_secret=_scalar(entry, CLIENT_SECRET),
        tenant=tenant[1].text if tenant else None,
        scopes=_list(entry, SCOPES),
        others=tuple(str(key.text) for key, _ in entry.pairs if key.text not in OURS),
        enabled=not any(key.text == ENABLED and value.plain and value.value in FALSE for key, value in entry.pairs),
        elsewhere=elsewhere,
    )


def made_by(text: str, name: str) -> str:
    """What a run that writes `name` into `text` makes: the outermost of `mail`, `providers` and `entry`; else empty."""
    root = parse(text.removeprefix(BOM))
    mail = root.get(MAIL) if root and root.kind is Kind.MAPPING else None
    if mail is None:
        return MAIL
    providers = mail[1].get(PROVIDERS)
    if providers is None:
        return PROVIDERS
    found = providers[1].get(name)
    return ENTRY if found is None or found[1].null else ""


def made_by_interrupted(text: str, name: str) -> str:
    """What an interrupted run has made that wrote the entry `name` of `text`; see `made_by`. Empty if it did not.

    That run's record is lost. So this is the part without which a write would give this very text again.
    """
    found = read(text, name)
    if found.others or found.type != MICROSOFT or found.tenant is None:
        return ""
    entry = Entry(found.client_id, found.client_secret, found.tenant, found.scopes)
    for made in (MAIL, PROVIDERS, ENTRY):
        try:
            before = removed(text, name, made)
            if made_by(before, name) == made and written(before, name, entry) == text:
                return made
        except NotEditable:
            continue
    return ""


def written(text: str, name: str, entry: Entry) -> str:
    """`text` with `entry` under `name`. Raises NotEditable."""
    body = text.removeprefix(BOM)
    values: dict[str, Data] = {
        TYPE: MICROSOFT,
        CLIENT_ID: entry.client_id,
        CLIENT_SECRET: entry.client_secret,
        TENANT: entry.tenant,
        SCOPES: entry.scopes,
    }
    after = _spliced(body, _writing(body, name, values))
    found = read(after, name)
    if not found.holds(entry) or found.scopes != entry.scopes:
        raise NotEditable(f"mail.providers.{name} is written in a way that this program cannot edit")
    return text[: len(text) - len(body)] + _checked(body, after, name)


def emptied(text: str, name: str) -> str:
    """`text` with an empty client ID and client secret under `name`. Raises NotEditable."""
    body = text.removeprefix(BOM)
    providers = _providers(parse(body))
    pair = providers.get(name) if providers else None
    if pair is None or pair[1].null:
        return text
    entry = _editable(pair[1], f"mail.providers.{name}")
    keys = [entry.get(key) for key in (CLIENT_ID, CLIENT_SECRET)]
    after = _spliced(body, [_set(body, found, "", entry.flow) for found in keys if found is not None])
    if read(after, name).client_id or read(after, name).client_secret:
        raise NotEditable(f"mail.providers.{name} is written in a way that this program cannot edit")
    return text[: len(text) - len(body)] + _checked(body, after, name)


def removed(text: str, name: str, made: str) -> str:
    """`text` without the entry `name`, and without what was made for it. made: see `made_by`.

    Raises NotEditable, also if somebody has put keys or comments of their own into the entry.
    """
    body = text.removeprefix(BOM)
    root = parse(body)
    providers = _providers(root)
    pair = providers.get(name) if providers else None
    if root is None or providers is None or pair is None:
        return text
    if read(body, name).others or comments_in(body[pair[0].start : end_of(pair[1])]):
        raise NotEditable(f"mail.providers.{name} has more in it than this program wrote")
    mail = root.get(MAIL)
    of_providers = mail[1].get(PROVIDERS) if mail else None
    assert mail is not None
    assert of_providers is not None
    if len(providers.pairs) > 1:
        splices = [_cut(body, providers, pair)]
    elif made == MAIL and len(mail[1].pairs) == 1:
        splices = [_cut(body, root, mail)]
    elif made in (MAIL, PROVIDERS) and len(mail[1].pairs) > 1:
        splices = [_cut(body, mail[1], of_providers)]
    elif made == PROVIDERS:
        splices = _hollow(body, mail)
    else:
        splices = _hollow(body, of_providers)
    after = _spliced(body, splices)
    if read(after, name).exists:
        raise NotEditable(f"mail.providers.{name} is written in a way that this program cannot edit")
    return text[: len(text) - len(body)] + _checked(body, after, name)


def fresh_order(scopes: Collection[str], current: Sequence[str], shown: Sequence[str] = ()) -> tuple[str, ...]:
    """`scopes` in an order that was not used lately.

    current: the order in the configuration. shown: that in NocoBase's link.

    NocoBase asks for the scopes in the order of its configuration. So a new order shows whether it has read what was
    written: it does so when it starts, and its answer shows no secret. An order comes again only after as many writes
    as there are scopes, so that one of several servers that was not restarted does not show the new one.
    """
    order = [*current] if sorted(current) == sorted(scopes) else sorted(scopes, reverse=True)
    for _ in order:
        order = [*order[1:], order[0]]
        if order not in ([*current], [*shown]):
            break
    return tuple(order)


def _providers(root: Node | None) -> Node | None:
    """The mapping `mail.providers`; None if there is none yet. Raises NotEditable."""
    if root is None:
        return None
    pair = _editable(root, "the configuration").get(MAIL)
    if pair is None or pair[1].null:
        return None
    pair = _editable(pair[1], MAIL).get(PROVIDERS)
    return None if pair is None or pair[1].null else _editable(pair[1], f"{MAIL}.{PROVIDERS}")


def _editable(node: Node, what: str) -> Node:
    """`node`, a mapping of its own. Raises NotEditable."""
    if node.kind is not Kind.MAPPING:
        raise NotEditable(f"{what} is {node.kind}, not a mapping")
    if node.get("<<"):
        raise NotEditable(f"{what} has a merge key (<<)")
    if node.tag is not None or node.anchor is not None:
        raise NotEditable(f"{what} has an anchor or a tag")
    return node


def _scalar(entry: Node, key: str) -> str:
    """The text of `key`; empty if it has none. Raises NotEditable for what is no text of its own."""
    pair = entry.get(key)
    if pair is None or pair[1].null:
        return ""
    if pair[1].kind is Kind.ALIAS or pair[1].anchor:
        raise NotEditable(f"{key} of a mail provider has an anchor or is an alias")
    if pair[1].kind is not Kind.SCALAR:
        raise NotEditable(f"{key} of a mail provider is {pair[1].kind}")
    return pair[1].value


def _list(entry: Node, key: str) -> tuple[str, ...]:
    pair = entry.get(key)
    if pair is None or pair[1].null:
        return ()
    node = pair[1]
    if node.kind is not Kind.SEQUENCE or node.anchor or any(one.kind is not Kind.SCALAR for one in node.items):
        raise NotEditable(f"{key} of a mail provider is no list of texts of its own")
    if any(one.anchor for one in node.items):
        raise NotEditable(f"{key} of a mail provider has an anchor")
    return tuple(one.value for one in node.items)


def _writing(text: str, name: str, values: Mapping[str, Data]) -> list[Splice]:
    """The splices that put `values` under `name`."""
    root = parse(text)
    if root is None:
        return [_appended(text, {MAIL: {PROVIDERS: {name: values}}})]
    _providers(root)
    parent, missing = root, {MAIL: {PROVIDERS: {name: values}}}
    for key in (MAIL, PROVIDERS, name):
        inside: Data = missing[key]
        pair = parent.get(key)
        if pair is None:
            return [_insert(text, parent, {key: inside})]
        if pair[1].null or (pair[1].kind is Kind.MAPPING and not pair[1].pairs and not pair[1].anchor):
            return [_set(text, pair, inside, parent.flow)]
        parent = _editable(pair[1], key)
        missing = inside  # type: ignore[assignment]
    there = {key: parent.get(key) for key in values}
    splices = [_set(text, pair, values[key], parent.flow) for key, pair in there.items() if pair is not None]
    absent = {key: values[key] for key, pair in there.items() if pair is None}
    return [*splices, _insert(text, parent, absent)] if absent else splices


def _appended(text: str, data: Data) -> Splice:
    """Put `data` at the end of a text without content, which may have comments."""
    newline = line_break(text)
    lines = newline.join(_block(data, 0))
    if not text or text.endswith("\n"):
        return len(text), len(text), lines + newline
    return len(text), len(text), newline + lines


def _insert(text: str, parent: Node, data: Mapping[str, Data]) -> Splice:
    """Add pairs to a mapping that has some."""
    if parent.flow:
        brace = text.index("{", parent.start) + 1
        more = ", ".join(f"{_key(key)}: {_flow(value)}" for key, value in data.items())
        return brace, brace, f"{more}, " if parent.pairs else more
    first = parent.pairs[0][0]
    indent = text[line_start(text, first.start) : first.start]
    if indent.strip(" "):
        raise NotEditable("a mapping begins in the middle of a line")
    newline = line_break(text)
    lines = newline.join(_block(data, len(indent)))
    try:
        last = end_of(parent)
    except NotEditable:
        # A text in block style ends where the next key begins, so only the beginning is certain.
        return first.start, first.start, lines.removeprefix(indent) + newline + indent
    place = after_line(text, last)
    if place == len(text) and not text.endswith("\n"):
        return place, place, newline + lines
    return place, place, lines + newline


def _set(text: str, pair: tuple[Node, Node], data: Data, in_flow: bool) -> Splice:
    """Replace the value of a pair."""
    key, node = pair
    if node.anchor or (node.tag and not node.tag.endswith(":str")):
        raise NotEditable(f"{key.value} has an anchor or a tag")
    if node.null and node.start == node.end:
        if in_flow:
            raise NotEditable(f"{key.value} has no value in a mapping between braces")
        if isinstance(data, Mapping):
            end, newline = line_end(text, node.end), line_break(text)
            lines = _block(data, len(text[line_start(text, key.start) : key.start]) + STEP)
            return end, end, newline + newline.join(lines)
        return node.start, node.start, f" {_flow(data)}"
    if isinstance(data, Sequence) and not isinstance(data, str) and node.kind is Kind.SEQUENCE:
        return _set_list(text, node, data)
    empty = node.kind is Kind.MAPPING and node.flow and not node.pairs
    if node.kind is not Kind.SCALAR and not (empty and isinstance(data, Mapping)):
        raise NotEditable(f"{key.value} is {node.kind}")
    if node.text == data:
        return node.start, node.start, ""
    return node.start, end_of(node), _flow(data)


def _set_list(text: str, node: Node, data: Sequence[str]) -> Splice:
    start, end = node.start, end_of(node)
    span = text[start:end]
    if len(node.items) == len(data) and all(one.style not in ("|", ">") for one in node.items):
        for item, value in reversed([*zip(node.items, data, strict=True)]):
            span = span[: item.start - start] + quote(value) + span[item.end - start :]
        return start, end, span
    if comments_in(span):
        raise NotEditable("the list of scopes has a comment in it")
    if node.flow:
        return start, end, _flow(data)
    indent = text[line_start(text, start) : start]
    if indent.strip(" "):
        raise NotEditable("a list begins in the middle of a line")
    return start, end, f"{line_break(text)}{indent}".join(f"- {quote(value)}" for value in data)


def _cut(text: str, parent: Node, pair: tuple[Node, Node]) -> Splice:
    """Remove a pair, one of several in flow style."""
    key, value = pair
    if parent.flow:
        at = parent.pairs.index(pair)
        comma = re.compile(r"\s*, ?").match(text, end_of(value))
        if at + 1 < len(parent.pairs) and comma:
            return key.start, comma.end(), ""
        return (end_of(parent.pairs[at - 1][1]) if at else key.start), end_of(value), ""
    start, end = line_start(text, key.start), after_line(text, end_of(value))
    if text[start : key.start].strip(" "):
        raise NotEditable("a mapping begins in the middle of a line")
    if end == len(text) and not text.endswith("\n") and start:
        start -= len(line_break(text)) if text[:start].endswith(line_break(text)) else 1
    return start, end, ""


def _hollow(text: str, pair: tuple[Node, Node]) -> list[Splice]:
    """Replace the mapping of a pair by an empty one."""
    key, value = pair
    if value.flow:
        return [(text.index("{", value.start), value.end, "{}")]
    colon = text.index(":", key.end) + 1
    first = value.pairs[0]
    start, end, _ = _cut(text, value, (first[0], value.pairs[-1][1]))
    return [(colon, colon, " {}"), (start, end, "")]


def _spliced(text: str, splices: Sequence[Splice]) -> str:
    for start, end, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _checked(before: str, after: str, name: str) -> str:
    """`after`, if it says the same as `before` but for what is this program's. Raises NotEditable."""
    one, two = (_rest(parse(text), name) for text in (before, after))
    same = one.same(two) if one is not None and two is not None else one is two
    if not same:
        raise NotEditable("an edit would change more than this program's own keys")
    return after


def _rest(root: Node | None, name: str) -> Node | None:
    """What a configuration says besides this program's keys; what is empty on the way to them is left out."""
    if root is None:
        return None
    path = (MAIL, PROVIDERS, name)

    def without(node: Node, depth: int) -> Node:
        if depth == len(path):
            return replace(node, pairs=tuple(pair for pair in node.pairs if pair[0].text not in OURS))
        pairs = []
        for key, value in node.pairs:
            inner = without(value, depth + 1) if key.text == path[depth] else value
            if key.text != path[depth] or inner.pairs or inner.anchor or inner.kind is Kind.ALIAS:
                pairs.append((key, inner))
        return replace(node, pairs=tuple(pairs))

    rest = without(root, 0)
    return rest if rest.pairs or rest.anchor or rest.kind is not Kind.MAPPING else None


def _key(name: str) -> str:
    return name if NAME.fullmatch(name) and name.lower() not in WORDS else quote(name)


def _block(data: Data, indent: int) -> list[str]:
    """The lines of `data` in block style."""
    blanks = " " * indent
    if isinstance(data, str):
        raise AssertionError
    if not isinstance(data, Mapping):
        return [f"{blanks}- {quote(value)}" for value in data]
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, str):
            lines.append(f"{blanks}{_key(key)}: {_text(value)}")
        else:
            lines += [f"{blanks}{_key(key)}:", *_block(value, indent + STEP)]
    return lines


def _flow(data: Data) -> str:
    """`data` on one line."""
    if isinstance(data, str):
        return _text(data)
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_flow(value)}" for key, value in data.items()) + "}"
    return f"[{', '.join(map(quote, data))}]"


def _text(value: str) -> str:
    return value if value == MICROSOFT else quote(value)
