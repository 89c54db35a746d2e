"""Targets for tests of rule tests."""

from __future__ import annotations

from streams.control_bodies import TargetFace


def target(name, *depends_on):
    return TargetFace(name=name, kind="http", labels={"team": "web"}, depends_on=depends_on)
