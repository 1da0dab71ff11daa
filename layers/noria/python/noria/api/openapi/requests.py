"""The shapes of the API's requests. One that does not fit is refused with field and reason."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field

from noria.api.checks import MAX_BASELINE_HOURS
from noria.api.jobs import FILENAME, MAX_LIMIT
from noria.api.labels import MAX_LABELS
from noria.api.operations import MAX_FILES, MAX_TEXT_CHARACTERS, RUN_NAME
from noria.api.predictions import MAX_BATCH_ROWS
from noria.data.labels import MAX_ID_CHARACTERS
from noria.inference.explanation import MAX_CONTRIBUTIONS

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS)]
Label = Annotated[
    str | float | int | bool | None,
    Field(description="The true class or value, as a cell of the target in training is read."),
]
RunName = Annotated[str, Field(pattern=f"^{RUN_NAME.pattern}$")]
Reason = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, pattern=r"\S")]


class Row(TypedDict):
    """One row to answer."""

    inputs: Annotated[
        dict[str, Any],
        Field(description="Values by column: GET /projects/{project}/model names the columns."),
    ]
    record_id: NotRequired[
        Annotated[Id | None, Field(description="Your own id of the row; labels may name it.")]
    ]
    explain: NotRequired[
        Annotated[
            bool | Annotated[int, Field(ge=1, le=MAX_CONTRIBUTIONS)] | None,
            Field(description="Name the features that mattered most: 10, or so many."),
        ]
    ]
    true_label: NotRequired[Label]


class Rows(TypedDict):
    """Rows to answer; a bad one fails alone."""

    items: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH_ROWS)]


class LabelOfPrediction(TypedDict):
    """The true label of an answer."""

    prediction_id: Annotated[Id, Field(description="Of the answer")]
    label: Label


class LabelOfRecord(TypedDict):
    """The true label of a row that was sent with your own id."""

    record_id: Id
    label: Label


class Labels(TypedDict):
    """Many labels; bad ones are named, the others are filed."""

    labels: Annotated[list[Any], Field(min_length=1, max_length=MAX_LABELS)]


class BaselineHours(TypedDict):
    """Whose traffic is called normal."""

    hours: NotRequired[Annotated[int, Field(ge=1, le=MAX_BASELINE_HOURS)]]


class NewJob(TypedDict):
    """A file to score."""

    filename: Annotated[
        str,
        Field(
            pattern=f"^{FILENAME.pattern}$",
            description="Its suffix says what it is: .csv, .jsonl, .json, also with .gz; .parquet",
        ),
    ]
    limit: NotRequired[
        Annotated[
            Annotated[int, Field(ge=1, le=MAX_LIMIT)] | None,
            Field(description="Score so many rows at most, for a try."),
        ]
    ]


class NewCheck(TypedDict):
    """A monitoring check, as the schedule starts it."""

    retrain: NotRequired[
        Annotated[bool, Field(description="Train where the check finds a reason.")]
    ]
    force: NotRequired[Annotated[bool, Field(description="Train, reason or not.")]]
    check_id: NotRequired[
        Annotated[RunName, Field(description="One that is there already starts nothing.")]
    ]


class NewTraining(TypedDict):
    """A training; what wins must pass the gate as ever."""

    how: NotRequired[Literal["search", "refit", "recalibrate"]]
    files: NotRequired[
        Annotated[
            list[str] | None,
            Field(
                min_length=1,
                max_length=MAX_FILES,
                description="Names or keys of files in the inbox; by default all of them.",
            ),
        ]
    ]
    run_id: NotRequired[
        Annotated[RunName, Field(description="One that is there already starts nothing.")]
    ]


class NewChampion(TypedDict):
    """A registered version that is to serve."""

    model_version: Reason
    reason: Reason


Rollback = TypedDict(
    "Rollback",
    {
        "from": Annotated[Reason, Field(description="The champion that is to go.")],
        "to": NotRequired[
            Annotated[Reason, Field(description="By default the previous champion.")]
        ],
        "reason": NotRequired[Reason],
    },
)
Rollback.__doc__ = "An earlier version that is to serve again."


class ApprovalAnswer(TypedDict):
    """What a rollout waits for."""

    approve: bool
    model_version: Reason
