"""Elements of SVG and HTML documents.

The serializer escapes every text and attribute, so nothing from outside becomes markup.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement

from provisioning.foreign import GUID, LONGEST_MESSAGE, harmless, one_line


def element(parent: Element | None, tag: str, text: str | None = None, /, **attributes: object) -> Element:
    """A new element, the last child of `parent`, with harmless attributes and text.

    Within an attribute's name `_` is written for `-`; a name that Python reserves has a `_` at its end. What is None
    among the attributes is left out.
    """
    values = {
        name.rstrip("_").replace("_", "-"): one_line(value, LONGEST_MESSAGE)
        for name, value in attributes.items()
        if value is not None
    }
    made = Element(tag, values) if parent is None else SubElement(parent, tag, values)
    if text is not None:
        made.text = one_line(text, LONGEST_MESSAGE)
    return made


SPECIAL = re.compile(rf"(?P<code>`[^`]+`)|(?P<id>\b{GUID}\b)")


def sentence(parent: Element, tag: str, text: str, /, **attributes: object) -> Element:
    """A new element with a sentence in which what is in backticks is code, and no id is broken at the end of a line.

    Its own lines are kept for a style that shows them.
    """
    made = element(parent, tag, "", **attributes)
    text = harmless(text)
    end, last = 0, None
    for part in SPECIAL.finditer(text):
        _append(made, last, text[end : part.start()])
        code = part["code"]
        last = element(made, "code", code.strip("`")) if code else element(made, "span", part["id"], class_="whole")
        end = part.end()
    _append(made, last, text[end:])
    return made


def _append(parent: Element, last: Element | None, text: str) -> None:
    """Text behind the child `last` of `parent`, or in front of all children."""
    if last is None:
        parent.text = text
    else:
        last.tail = text
