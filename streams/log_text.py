"""The text of a log line: its secrets taken out, its numbers masked, its level found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET, CARD = "<secret>", "<card>"

# Looked for in the lower-cased line before any pattern runs: hardly a line has one, and `in` is fast.
_HINTS = (
    *("authorization", "passw", "pwd", "passphrase", "secret", "token", "apikey", "_key", "-key", "accesskey"),
    *("privatekey", "private key", "cookie", "sessionid", "session_id", "session-id", "credential", "bearer", "basic "),
    *("eyj", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "xox", "sk-", "sk_", "://"),
)
_NAMES = (
    r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|"
    r"session[_-]?id)[\w.-]{0,60}+"
)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&"'}\])<]+)"""
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), SECRET),
    # A header's value is all that follows, up to a quote: schemes, parameters and all.
    (re.compile(r"""(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s*+[:=]\s*+["']?+)(?!<secret>)[^"'\r\n]+"""),
     rf"\1\2{SECRET}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/_.=~-]{8,}"), rf"\1 {SECRET}"),
    (re.compile(rf"""(?i)({_NAMES}\\?["']?\s*+(?:=>?+|:)\s*+)(?!["']?<secret>)\\?{_VALUE}"""), rf"\1{SECRET}"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{SECRET}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), SECRET),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|"
                r"\bxox[abposr]-[A-Za-z0-9-]{10,}|\bsk[-_](?:live_|test_|proj-|ant-)?[A-Za-z0-9_-]{16,}"), SECRET),
)  # fmt: skip
_DIGITS = re.compile(r"\d[\d -]{11,40}\d")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")


# One pass over the line: the first alternative that fits takes the text. Numbers within names stay, for they are what
# tells one error from another: E1001, ORA-00942.
_MASKS = (
    ("uuid", r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?!\w)"),
    ("time", r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\w)"),
    ("time", r"\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"),
    ("ip", r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?(?![\w.])"),
    (
        "ip",
        r"(?=[\d:]{0,40}(?:[a-fA-F]|::))[0-9a-fA-F]{1,4}:[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){1,6}(?<=\w)(?![\w:])",
    ),
    ("hex", r"0[xX][0-9a-fA-F]+(?!\w)|(?=\d{0,40}[a-fA-F])(?=[a-fA-F]{0,40}\d)[0-9a-fA-F]{8,}(?!\w)"),
    ("num", r"(?<![A-Z]-)\d+(?:[.,:/]\d+)*"),
)

_WORDS = {
    "error": "error err fatal critical crit severe panic emerg emergency alert",
    "warning": "warning warn",
    "info": "info notice information informational",
    "debug": "debug trace verbose fine",
}
_LEVEL_OF = {word: level for level, words in _WORDS.items() for word in words.split()}
# In free text only words that are hardly anything else, and the names of exceptions.
_LEVEL = re.compile(
    r"(?<![\w/.-])(?:(?P<word>(?i:error|err|fatal|critical|crit|panic|emerg|warning|warn|info|notice|debug|trace))(?![\w-])"
    r"|(?P<raised>Traceback \(most|[A-Za-z_.]*(?:Exception|Error)\b))"
)
_LEVEL_WITHIN = 160
# pino, bunyan and syslog count: the first two upwards from 10, syslog downwards from 7.
_NUMBERED = {
    "10": "debug",
    "20": "debug",
    "30": "info",
    "40": "warning",
    "50": "error",
    "60": "error",
    "0": "error",
    "1": "error",
    "2": "error",
    "3": "error",
    "4": "warning",
    "5": "info",
    "6": "info",
    "7": "debug",
}


def redact(text: str) -> str:
    """`text` with passwords, tokens, keys, cookies, credentials in URLs and card numbers replaced by ``<secret>``.

    Patterns find what looks like a secret; one that looks like any other word passes.
    """
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        for pattern, put in _SECRETS:
            text = pattern.sub(put, text)
    return _CARD.sub(_card, text) if _DIGITS.search(text) else text


def _card(found: re.Match[str]) -> str:
    """`<card>` where the digits pass Luhn's check (ISO/IEC 7812-1), as every card's do and one number in ten else."""
    digits = [int(c) for c in found[0] if c.isdigit()]
    doubled = sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(reversed(digits)))
    return CARD if doubled % 10 == 0 and any(digits) else found[0]


class Masker:
    """Replaces what varies from line to line by its kind: ``<num>``, ``<ip>``, ``<time>``, ``<hex>``, ``<uuid>``.

    `more` are further patterns by the name that stands in their place; they come before the built-in ones.
    """

    def __init__(self, more: Mapping[str, str] | None = None) -> None:
        names: list[str] = []
        own = []
        for name, pattern in (more or {}).items():
            own.append(f"(?P<g{len(names)}>{pattern})")
            names.append(f"<{name}>")
        built_in = []
        for name, pattern in _MASKS:
            built_in.append(f"(?P<g{len(names)}>{pattern})")
            names.append(f"<{name}>")
        # Every built-in mask has a digit near its beginning: this test first makes the pass twice as fast. Its bound
        # keeps the time for a long line of hex digits and colons in proportion to the line.
        inner = rf"\b(?=[0-9a-fA-F:-]{{0,40}}\d)(?:{'|'.join(built_in)})"
        self._pattern = re.compile("|".join([*own, inner]))
        self._names = {f"g{i}": name for i, name in enumerate(names)}

    def __call__(self, text: str) -> str:
        return self._pattern.sub(self._put, text)

    def _put(self, found: re.Match[str]) -> str:
        return self._names[found.lastgroup or ""]


def level_of(word: str) -> str:
    """error, warning, info or debug for a level's name or number in any of the usual forms; "" for none."""
    word = word.strip().lower()
    return _LEVEL_OF.get(word) or _NUMBERED.get(word, "")


def level_in(text: str) -> str:
    """The level that stands in the beginning of a line of text; "" where none does."""
    found = _LEVEL.search(text, 0, _LEVEL_WITHIN)
    if found is None:
        return ""
    return _LEVEL_OF[found["word"].lower()] if found["word"] else "error"
