"""What depends on what: a tenant on its services, a service on its host. A graph without cycles, by target name."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from streams.labels import matches, parse
from streams.selectors import looks_like_selector, selector

_MOST_SUGGESTIONS = 20  # looking for what was meant takes time, and nobody reads more


class Dependent(Protocol):
    """What a target has to have."""

    @property
    def name(self) -> str: ...
    @property
    def all_labels(self) -> dict[str, str]: ...
    @property
    def depends_on(self) -> tuple[str, ...]: ...


class DependencyError(ValueError):
    """The targets' `depends_on` cannot be used; `problems`: target index, index in its depends_on, message."""

    def __init__(self, problems: Sequence[tuple[int, int, str]]) -> None:
        super().__init__("; ".join(message for _, _, message in problems))
        self.problems = tuple(problems)


class Dependencies:
    """The graph. Raises DependencyError on an unknown name, on what is no matcher, and on a cycle, which it names."""

    def __init__(self, targets: Iterable[Dependent] = ()) -> None:
        self.nodes = nodes = list(targets)
        self.parents: dict[str, tuple[str, ...]] = {}
        self._children: dict[str, list[str]] = {}
        self._down: dict[str, list[str]] = {}
        self._up: dict[str, tuple[str, ...]] = {}
        origin: dict[tuple[str, str], int] = {}  # index in its depends_on, of an edge
        problems = self._link(nodes, origin)
        if problems:
            raise DependencyError(problems)
        for name, above in self.parents.items():
            for parent in above:
                self._children.setdefault(parent, []).append(name)
        self.depth = self._ordered({n.name: i for i, n in enumerate(nodes)}, origin)

    def _link(self, nodes: Sequence[Dependent], origin: dict[tuple[str, str], int]) -> list[tuple[int, int, str]]:
        """Find out what each depends on, and what is wrong with it."""
        lookup, problems = _Lookup(nodes), []
        for i, node in enumerate(nodes):
            parents: dict[str, None] = {}
            for j, text in enumerate(node.depends_on):
                found = lookup.find(text)
                if isinstance(found, str):
                    problems.append((i, j, found))
                elif text == node.name:
                    problems.append((i, j, f"{text} depends on itself"))
                else:
                    for name in found:
                        if name != node.name:  # its own labels may pass its own matcher
                            parents[name] = None
                            origin.setdefault((node.name, name), j)
            if parents:
                self.parents[node.name] = tuple(parents)
        return problems

    def _ordered(self, index: Mapping[str, int], origin: Mapping[tuple[str, str], int]) -> dict[str, int]:
        """The longest way up from each target that depends on something or is depended on."""
        left = {name: len(above) for name, above in self.parents.items()}
        depth = {name: 0 for name in self._children if name not in left}
        ready = deque(depth)
        while ready:
            name = ready.popleft()
            for child in self._children.get(name, ()):
                depth[child] = max(depth.get(child, 0), depth[name] + 1)
                left[child] -= 1
                if not left[child]:
                    ready.append(child)
        stuck = {name for name, n in left.items() if n}
        if stuck:
            cycle = self._cycle(stuck)
            text = f"a cycle: {' → '.join(cycle)}, where each depends on the next"
            raise DependencyError([(index[cycle[0]], origin[cycle[0], cycle[1]], text)])
        return depth

    def _cycle(self, stuck: Collection[str]) -> list[str]:
        """Some cycle among `stuck`, each of which has a parent among them; it begins at its first name."""
        way: dict[str, int] = {}
        name = min(stuck)
        while name not in way:
            way[name] = len(way)
            name = next(p for p in self.parents[name] if p in stuck)
        cycle = list(way)[way[name] :]
        at = cycle.index(min(cycle))
        return [*cycle[at:], *cycle[: at + 1]]

    def ancestors(self, target: str) -> tuple[str, ...]:
        """Everything that `target` depends on, directly or not, nearest first."""
        if target not in self.parents:
            return ()
        if target not in self._up:
            self._up[target] = tuple(_reached(target, self.parents))
        return self._up[target]

    def taken_down(self, target: str) -> list[str]:
        """Every target that depends on `target`, directly or not, in order of name."""
        if target not in self._children:
            return []
        if target not in self._down:
            self._down[target] = sorted(_reached(target, self._children))
        return list(self._down[target])


def _reached(start: str, edges: Mapping[str, Iterable[str]]) -> list[str]:
    seen, waiting = {start: None}, deque([start])
    while waiting:
        for name in edges.get(waiting.popleft(), ()):
            if name not in seen:
                seen[name] = None
                waiting.append(name)
    return list(seen)[1:]


class _Lookup:
    """Finds targets by name or matchers; a matcher that asks for a value costs no look at the others."""

    def __init__(self, nodes: Sequence[Dependent]) -> None:
        self.labels = {n.name: n.all_labels for n in nodes}
        self._by_label: dict[str, dict[str, list[str]]] = {}
        self._found: dict[str, tuple[str, ...] | str] = {}
        self._suggested = 0

    def find(self, text: str) -> tuple[str, ...] | str:
        """The names meant by `text`, or what is wrong with it."""
        if text in self.labels:
            return (text,)
        if text not in self._found:
            self._found[text] = self._matching(text) if looks_like_selector(text) else self._unknown(text)
        return self._found[text]

    def _matching(self, text: str) -> tuple[str, ...] | str:
        try:
            matchers = selector(text)
        except ValueError as error:
            return str(error)
        narrow = next((m for m in map(parse, matchers) if m.operator == "=" and m.value), None)
        names: Iterable[str] = self.labels
        if narrow is not None:
            if narrow.name not in self._by_label:
                index: dict[str, list[str]] = {}
                for name, labels in self.labels.items():
                    index.setdefault(labels.get(narrow.name, ""), []).append(name)
                self._by_label[narrow.name] = index
            names = self._by_label[narrow.name].get(narrow.value, ())
        return tuple(n for n in names if matches(matchers, self.labels[n]))

    def _unknown(self, text: str) -> str:
        close: list[str] = []
        if self._suggested < _MOST_SUGGESTIONS:
            self._suggested += 1
            close = difflib.get_close_matches(text, self.labels, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        return f'no target is named {text!r}; {meant}Write a target\'s name, or matchers such as kind="host"'
