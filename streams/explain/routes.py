"""Which receivers the routes find for an alert, and by which way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.explain.model import RouteTaken
from streams.labels import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streams.routing import Route


def taken(
    route: Route, labels: Mapping[str, str], channels: Mapping[str, Sequence[str]], extra: Sequence[str] = ()
) -> list[RouteTaken]:
    """Every receiver of an alert with `labels`, each once, in the order of the tree; then those of an escalation."""
    found: dict[str, list[str]] = {}
    for receiver, because in _walk(route, labels, None, "route", []):
        found.setdefault(receiver, because)
    for receiver in extra:
        found.setdefault(receiver, ["an escalation names it"])
    return [
        RouteTaken(receiver=receiver, channels=list(channels.get(receiver, ())), because=because)
        for receiver, because in found.items()
    ]


def _walk(
    route: Route, labels: Mapping[str, str], inherited: str | None, place: str, steps: list[str]
) -> Iterator[tuple[str, list[str]]]:
    receiver = route.receiver or inherited
    reached, passed = False, [*steps]
    for i, child in enumerate(route.routes):
        where = f"{place}.routes[{i}]"
        wrong = first_wrong(child.matchers, labels)
        if wrong is not None:
            passed.append(f"{where} does not match: {wrong}")
            continue
        reached = True
        way = [*passed, f"{where} matches: {', '.join(child.matchers) or 'it matches all'}"]
        yield from _walk(child, labels, receiver, where, way)
        if not child.continue_:
            return
        passed.append(f"{where} says continue")
    if reached:
        return
    if receiver is not None:
        own = "its own receiver" if route.receiver else "the receiver it inherits"
        yield receiver, [*passed, f"{place}: {own} is {receiver}"]


def first_wrong(matchers: Sequence[str], labels: Mapping[str, str]) -> str | None:
    """The first matcher that `labels` do not pass, and why: ``team="web", and team is "db"``. None where all pass."""
    for text in matchers:
        matcher = parse(text)
        if not matcher.matches(labels):
            have = labels.get(matcher.name, "")
            return f'{text}, and {matcher.name} is "{have}"' if have else f"{text}, and it has no label {matcher.name}"
    return None
