"""What is wrong with an option is told in a plain sentence, whatever checks it."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from {{ cookiecutter.package_name }}.problems import field_errors

from .person import Person


class Size(Enum):
    SMALL = "small"


class Options(BaseModel):
    """An option of every sort that can be wrong in its own way."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field("", min_length=1, max_length=2000)
    code: str = Field("abc", min_length=3)
    whole: int = Field(10, ge=1, le=5000)
    number: float = Field(0.5, gt=0, lt=1.5)
    day: date = date(2025, 1, 31)
    ticked: bool = True
    order: Literal["name", "value"] = "name"
    size: Size = Size.SMALL
    some: list[Literal["a", "b", "c"]] = Field(["a"], min_length=1, max_length=2)
    odd: int = 1

    @field_validator("odd")
    @classmethod
    def is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("Only odd numbers do.")
        return value


class Needed(Options):
    needed: str


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("text", "", "This must not be empty."),
        ("text", "x" * 2001, "This must not be longer than 2,000 characters."),
        ("text", 7, "This must be a text."),
        ("code", "ab", "This must be at least 3 characters long."),
        ("whole", 0, "This must be 1 or more."),
        ("whole", 5001, "This must be 5,000 or less."),
        ("whole", 1.5, "This must be a whole number."),
        ("whole", "ten", "This must be a whole number."),
        ("whole", None, "This must be a whole number."),
        ("number", 0, "This must be more than 0."),
        ("number", 2, "This must be less than 1.5."),
        ("number", "much", "This must be a number."),
        ("day", "yesterday", "This must be a date, such as 2025-01-31."),
        ("day", "2025-02-30", "This must be a date, such as 2025-01-31."),
        ("day", None, "This must be a date, such as 2025-01-31."),
        ("ticked", "maybe", "This must be true or false."),
        ("ticked", None, "This must be true or false."),
        ("order", "size", "This must be 'name' or 'value'."),
        ("size", "large", "This must be 'small'."),
        ("some", [], "At least 1 must be chosen."),
        ("some", ["a", "b", "c"], "No more than 2 can be chosen."),
        ("some", "a", "This must be a list."),
        ("odd", 2, "Only odd numbers do."),
        ("colour", "red", "Nothing of this name is known."),
    ],
)
def test_a_wrong_value_gets_its_sentence(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Options.model_validate({name: value})
    assert field_errors(wrong.value) == [{"field": name, "message": sentence}]


def test_a_missing_value_gets_its_sentence() -> None:
    with pytest.raises(ValidationError) as wrong:
        Needed.model_validate({})
    assert field_errors(wrong.value) == [{"field": "needed", "message": "This must be given."}]


def test_an_answer_tells_all_of_them(person: Person) -> None:
    answer = person.process(largest=0, colour="red")
    assert answer.json["detail"] == (
        "largest: This must be 1 or more; colour: Nothing of this name is known."
    )
