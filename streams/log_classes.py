"""Classes of log lines: what a line speaks of, told by patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT: Mapping[str, str] = {
    "slow_queries": r"(?i)slow[ _-]?(?:query|log|sql|operation|request)|query took|long[ -]running query|# Query_time|"
    r"\bduration: \S{1,30} ms\s{1,5}(?:statement|execute|parse|bind|plan)",
    "timeouts": r"(?i)\btimed?[ _-]?out\b|\btimeouts?\b|Timeout(?:Error|Exception|Expired)|deadline exceeded|ETIMEDOUT",
    "exhaustion": r"(?i)out of memory|OutOfMemory|\boom[ -]?kill|cannot allocate memory|no space left|"
    r"disk\b.{0,30}\bfull|too many (?:open files|connections|clients)|exhausted|remaining connection slots|"
    r"(?:pool|connections?|memory|quota|heap|slots?|threads?|file descriptors?) (?:\w{1,30} ){0,3}(?:exceeded|reached)|"
    r"EMFILE|ENOSPC|ENOMEM|resource temporarily unavailable",
    "failed_logins": r"(?i)\b(?:login|log-in|logon|sign[ -]?in|password|authentication|auth)\b.{0,20}"
    r"\b(?:fail|incorrect|invalid|rejected)|"
    r"(?:fail\w{0,10}|invalid|incorrect|bad|wrong) (?:\w{1,30} ){0,2}(?:login|logon|sign-?in|password|"
    r"credentials|authentication|auth)\b|invalid user\b|access denied for user",
    "odd_access": r"(?i)\.\./|/etc/passwd|/wp-(?:login|admin)|/xmlrpc\.php|/\.(?:env|git|aws|ssh)\b|/phpmyadmin|"
    r"\bunion\b.{1,20}\bselect\b|<script|\$\{jndi:|sqlmap|nikto|/cgi-bin/|permission denied|access denied|forbidden|"
    r"unauthori[sz]ed",
    # Status 401 or 403 in the common log format. With digits it sees every line; it begins with a fixed text, so that
    # this costs next to nothing.
    "denied": r'" 40[13] ',
}
"""The classes that there are without configuration: name and pattern."""

_NUMERIC = re.compile(r"\\d|\[[^\]]*0-9|(?<!\{)(?<![{,\d])\d")


def is_numeric(pattern: str) -> bool:
    """Whether a match may depend on digits, which a masked line has no more."""
    return _NUMERIC.search(pattern) is not None


class Classes:
    """Gives lines their classes.

    A pattern without digits is asked once for all lines that differ only in what is masked; one with digits sees each
    line. Raises ValueError on a pattern that does not compile.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self.names = tuple(patterns)
        self._of_text: list[tuple[str, re.Pattern[str]]] = []
        self._of_line: list[tuple[str, re.Pattern[str]]] = []
        for name, text in patterns.items():
            try:
                pattern = re.compile(text)
            except re.error as error:
                raise ValueError(f"class {name!r} is no regular expression: {error}") from error
            (self._of_line if is_numeric(text) else self._of_text).append((name, pattern))

    def of_text(self, masked: str) -> tuple[str, ...]:
        """Classes of a masked line, as far as it tells them."""
        return tuple(name for name, pattern in self._of_text if pattern.search(masked))

    def of_line(self, line: str) -> tuple[str, ...]:
        """Classes that only the line itself tells."""
        return tuple([name for name, pattern in self._of_line if pattern.search(line)]) if self._of_line else ()
