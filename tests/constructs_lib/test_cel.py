"""Data as CEL."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib._cel import literal


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        ("a", '"a"'),
        ('"\\\n\t\x01ü', '"\\"\\\\\\n\\t\\u0001ü"'),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        ([], "[]"),
        ({}, "{}"),
        (["a", "b"], '["a", "b"]'),
        (("a",), '["a"]'),
        ({"a": "b"}, '{"a": "b"}'),
        ({"a": "b", "c": 1}, '{"a": dyn("b"), "c": dyn(1)}'),
        ([{"a": "b"}, {"c": 1}], '[dyn({"a": "b"}), dyn({"c": dyn(1)})]'),
        ({"a": ["b"]}, '{"a": dyn(["b"])}'),
    ],
)
def test_data_is_written_as_an_expression_of_it(value: Any, expression: str) -> None:
    assert literal(value) == expression


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        ("9999", "number"),
        ("pr-9999", '"pr-" + number'),
        ("9999.example", 'number + ".example"'),
        ("a 9999 b 9999 c", '"a " + number + " b " + number + " c"'),
        ("999", '"999"'),
        (["pr-9999"], '["pr-" + number]'),
        ({"9999": "pr-9999"}, '{number: "pr-" + number}'),
        (9999, "9999"),
    ],
)
def test_what_stands_for_something_is_evaluated_in_its_place(value: Any, expression: str) -> None:
    assert literal(value, {"9999": "number"}) == expression


@pytest.mark.parametrize("value", [1.5, None, object()])
def test_what_no_expression_gives_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="expected data as JSON has it"):
        literal(value)
