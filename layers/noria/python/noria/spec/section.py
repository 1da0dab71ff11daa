"""What every table of a spec is: unknown keys refused, values frozen."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
# An underscore leads the names Noria puts beside the inputs: _target, _time, _id.
ColumnName = Annotated[str, Field(pattern=r"^[^_]", max_length=200)]
Task = Literal["classification", "regression"]
ColumnType = Literal["text", "number", "category", "time"]


class Section(BaseModel):
    """A table of the spec: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)
