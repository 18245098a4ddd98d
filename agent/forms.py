"""What a judge may reply: six grades, or a request for one more look. JSON schema alone holds it to that.

No tool calling is needed, so that models work which never learnt it. Fields stand in the order they are written in.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, RootModel

Grade = Literal[0, 1, 2, 3]
Region = Literal[
    "upper left",
    "upper centre",
    "upper right",
    "middle left",
    "middle centre",
    "middle right",
    "lower left",
    "lower centre",
    "lower right",
]
"""The ninths of a film; left and right are those of the picture."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Grades(_Form):
    """The answer: severity of every aspect, 0 none … 3 severe."""

    noise: Grade
    blur: Grade
    exposure: Grade
    collimation: Grade
    positioning: Grade
    artifact: Grade


class Detail(_Form):
    """Asks to see one ninth of the film at native resolution."""

    look: Literal["detail"]
    region: Region


class Measures(_Form):
    """Asks what the tools measure in one ninth of the film."""

    look: Literal["measures"]
    region: Region


class Histogram(_Form):
    """Asks how the grey values of the exposed field are spread."""

    look: Literal["histogram"]


class Edges(_Form):
    """Asks where the edges of the exposed field were found."""

    look: Literal["field"]


Request = Detail | Measures | Histogram | Edges
"""One more look."""


class Turn(RootModel[Grades | Annotated[Request, Field(discriminator="look")]]):
    """The grades, or one more look where the judge still has one."""


class Seen(NamedTuple):
    """What a look gave; it goes to the judge and is never kept."""

    text: str = ""
    pictures: tuple[bytes, ...] = ()
    """PNG files: three for the first look, one for a detail, none for what is measured."""
