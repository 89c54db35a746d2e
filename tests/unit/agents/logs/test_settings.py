"""The section `logs` of a configuration."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.logs.settings import LogsSettings


def test_classes_are_added_replaced_and_removed() -> None:
    """A new name is added, a known one replaced, an empty pattern removes it."""
    found = LogsSettings(classes={"paid": "paid", "timeouts": "slow", "odd_access": ""}).all_classes
    assert found["paid"] == "paid"
    assert found["timeouts"] == "slow"
    assert "odd_access" not in found
    assert "exhaustion" in found


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"classes": {"a": "("}}, "no regular expression: missing ), unterminated subpattern at character 1"),
        ({"classes": {"lines": "x"}}, "log.lines is a metric already"),
        ({"classes": {"No Name": "x"}}, "'No Name' is no name"),
        ({"masks": {"a": "x*"}}, "matches the empty text"),
        ({"interval": "0s"}, "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_told(values: dict, told: str) -> None:
    """The error says what is wrong, and where in a pattern."""
    with pytest.raises(ValidationError) as error:
        LogsSettings.model_validate(values)
    assert told in str(error.value)
