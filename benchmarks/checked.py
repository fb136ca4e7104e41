"""Values that are written by hand, checked by pydantic: a mistake becomes one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, StrictInt, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from benchmarks.errors import CannotRun

Count = Annotated[StrictInt, Field(ge=1)]
Natural = Annotated[StrictInt, Field(ge=0)]
TOML = {"dict_type": "must be a table", "dataclass_type": "must be a table", "tuple_type": "must be a list"}
"""What TOML calls what pydantic calls by Python's names."""
CONFIG = ConfigDict(extra="forbid")


def _different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeated", "must not repeat a value")
    return values


Seeds = Annotated[list[Natural], Field(min_length=1), AfterValidator(_different)]
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=CONFIG)
class Checked:
    """Subclass with fields whose types say what is right; CannotRun for a value that is missing, unknown or of another kind."""

    WHERE: ClassVar[str] = ""
    """What comes before the line."""

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(values)
        except ValidationError as error:
            first = error.errors()[0]
            entry = ".".join(map(str, first["loc"]))
            told = {"missing": f"lacks the entry {entry!r}", "unexpected_keyword_argument": f"has the unknown entry {entry!r}"}
            must = TOML.get(first["type"]) or first["msg"].replace("Input should", "must").replace("List should", "must")
            raise CannotRun(cls.WHERE + told.get(first["type"], f"{entry} {must}, got {first['input']!r}".strip())) from error


def known(find: Callable[[str], object]) -> AfterValidator:
    """Names that ``find`` takes; it raises CannotRun, listing the known ones, for others."""
    return AfterValidator(lambda name: (find(name), name)[1])
