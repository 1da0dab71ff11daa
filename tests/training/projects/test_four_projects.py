"""The four shipped projects: serving answers as training did, row by row, whatever is sent."""

import json
import math
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.samples.files import sample_files
from noria.analysis.rows import SPARSE_COLUMNS, RowsAnalyzer
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, unpack
from noria.columnar.engine import BatchPredictor
from noria.data.parsing import ByteBudget, read_records
from noria.data.schema_inference import spec_of_dataset
from noria.data.validation import Validator
from noria.data.values import normalized
from noria.data.versions import read_rows
from noria.errors import InvalidInputError
from noria.features.derive import Deriver
from noria.features.fitting import RowPreparer
from noria.features.matrix import from_bytes, stack_rows, take_columns
from noria.features.view import FeatureView
from noria.inference.predictor import Predictor
from noria.monitoring.sources import PREDICTION, InputSource, TextSource
from noria.records.prediction import PredictionRecord
from noria.spec.loader import load_project
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import REFERENCE, TEST, TRAIN
from noria.training.calibration import Calibration
from noria.training.estimators import fit, raw_scores
from tests.conftest import PROJECTS
from tests.support.fakes import MemoryArtifacts, SteppingClock

_CHEAP = {
    "tickets": "linear_svm_everything",
    "messages": "logistic_regression",
    "housing": "gradient_boosting",
    "customers": "lightgbm",
}
_LINEAR = ("customers", "logistic_regression")  # dense: BLAS would round by the place of a row
_ROWS = {"tickets": 200, "messages": 400, "customers": 800, "housing": 506}
_HOSTILE_TEXTS = [
    "", " ", "\x00", "\ud7ff", "=1+1", "<script>alert(1)</script>", "NaN", "null", "ñandú ÁÉÍ",
    "İstanbul ẞ ﬁ", "a" * 5000, "🙂 pésimo 👎🏽", "1e309", "\u202eodal", "\n\r\t", "'; DROP TABLE x;",
]  # fmt: skip
_TIMES = ["2026-02-28T23:59:59", "1970-01-01T00:00:00", "2024-02-29T12:00:00"]


class _Trained:
    """A project with one candidate, trained on its sample, and what training knew."""

    def __init__(self, name, candidate=None):
        spec = load_project(name, PROJECTS)
        self.candidate = candidate or _CHEAP[name]
        chosen = tuple(c for c in spec.candidates if c.name == self.candidate)
        declared = spec.model_copy(update={"candidates": chosen})
        self.artifacts, keys = MemoryArtifacts(), []
        for file, body in sample_files(name, n_rows=_ROWS[name]):
            keys.append(f"inbox/{file}")
            self.artifacts.put(keys[-1], body)
        here = {"spec": declared, "artifacts": self.artifacts}
        self.version = prepare_dataset(
            PrepareDatasetRequest(name, "r", tuple(keys)), **here
        ).dataset_version
        fit_feature_views(FitFeatureViewsRequest(name, "r", self.version), **here)
        train_candidate(
            TrainCandidateRequest(name, "r", self.version, self.candidate),
            clock=SteppingClock(), code={}, **here,
        )  # fmt: skip
        self.spec = spec_of_dataset(self.artifacts, declared, self.version)
        folder = f"runs/{name}/r"
        files = {
            f: self.artifacts.get(f"{folder}/candidates/{self.candidate}/{f}")
            for f in (BUNDLE_FILE, ARRAYS_FILE)
        }
        self.bundle = unpack(files)[0]
        self.predictor = Predictor(files)
        self._load_training_side(folder, chosen[0])

    def _load_training_side(self, folder, candidate):
        view = {
            f: self.artifacts.get(f"{folder}/features/view/{f}")
            for f in ("bundle.json", "arrays.bin")
        }
        self.view = FeatureView(unpack(view)[0]["feature_view"])
        self.preparer = RowPreparer(self.spec)
        self.kept = None
        if candidate.selection:
            selections = json.loads(self.artifacts.get(f"{folder}/features/selections.json"))
            self.kept = selections[candidate.selection][-1]
        X = self._selected(from_bytes(self.artifacts.get(f"{folder}/features/all.npz")))
        targets = np.load(BytesIO(self.artifacts.get(f"{folder}/features/targets.npz")))
        result = json.loads(self.artifacts.get(f"{folder}/candidates/{candidate.name}/result.json"))
        found = result["calibration"]
        self.calibration = Calibration(found["slope"], tuple(found["shift"]))
        self.model = fit(
            candidate, self.spec.project.task, result["params"], (X, targets["y"]),
            seed=self.spec.search.seed,
        )  # fmt: skip

    def _selected(self, X):
        if self.kept is None:
            return X
        return take_columns(X, self.kept, sparse=self.view.is_sparse)

    def features(self, rows):
        return stack_rows(
            [self.view.apply(self.preparer.prepare(row)) for row in rows],
            self.view.width,
            sparse=self.view.is_sparse,
        )

    def as_training_answers(self, rows):
        """Answer with the training libraries, all rows at once."""
        raw = raw_scores(
            self.model, self._selected(self.features(rows)), len(self.predictor.classes)
        )
        return self.calibration.probabilities(raw) if self.predictor.classes else raw

    def rows(self):
        """Rows as validation leaves them, each value as hostile as its type allows."""
        return st.lists(
            st.fixed_dictionaries(
                {name: _values(column) for name, column in self.spec.dataset.columns.items()}
            ),
            min_size=1,
            max_size=4,
        )


def _values(column):
    texts = st.text(max_size=40) | st.sampled_from(_HOSTILE_TEXTS)
    if column.type == "number":
        low = -1e12 if column.min is None else column.min
        high = 1e12 if column.max is None else column.max
        return st.none() | st.floats(low, high, allow_nan=False)
    return {
        "text": texts,
        "category": st.none() | texts | st.sampled_from(["a", "Restaurants, Bars"]),
        "time": st.none() | st.sampled_from(_TIMES),
    }[column.type]


@pytest.fixture(scope="module")
def linear():
    """A dense linear model."""
    return _Trained(*_LINEAR)


@pytest.fixture(scope="module", params=sorted(_CHEAP))
def trained(request):
    """One project after the other."""
    return _Trained(request.param)


def test_serving_answers_as_training_did_on_hostile_rows(trained):
    """The bundle against scikit-learn and LightGBM on features that training computed."""

    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(trained.rows())
    def holds(rows):
        expected = trained.as_training_answers(rows)
        served = np.array([trained.predictor.score(row) for row in rows])
        assert np.allclose(served, expected, rtol=1e-6, atol=1e-6)

    holds()


def test_a_row_alone_equals_the_row_inside_its_batch(trained):
    """Order and company change nothing, to the last bit."""

    @settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    @given(trained.rows())
    def holds(rows):
        together = trained.features(rows)
        for number, row in enumerate(rows):
            alone = trained.features([row])
            pair = (together[number : number + 1], alone)
            dense = [part if isinstance(part, np.ndarray) else part.toarray() for part in pair]
            assert np.array_equal(*dense, equal_nan=True)
        backwards = [trained.predictor.score(row) for row in reversed(rows)]
        assert [trained.predictor.score(row) for row in rows] == backwards[::-1]

    holds()


def test_a_file_of_hostile_rows_is_answered_as_each_row_alone(trained):
    """Column by column, the same answers and the same refusals."""
    batch = BatchPredictor(trained.predictor)

    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(trained.rows())
    def holds(rows):
        answers = batch.answer(_cells(trained, rows), len(rows))
        outputs = dict(zip(answers.places.tolist(), answers.outputs.tolist(), strict=True))
        for place, row in enumerate(rows):
            try:
                said = trained.predictor.answer(row)
            except InvalidInputError:
                assert place in answers.refused
                continue
            assert outputs[place] == pytest.approx(said.outputs, rel=1e-9, abs=1e-12)

    holds()


def _analyzer(trained):
    folder = f"runs/{trained.spec.name}/r/candidates/{trained.candidate}"
    names = (BUNDLE_FILE, ARRAYS_FILE, REFERENCE)
    return RowsAnalyzer({name: trained.artifacts.get(f"{folder}/{name}") for name in names})


def _cells(trained, rows):
    return {
        name: pa.array([_cell(row[name]) for row in rows], pa.string())
        for name in trained.spec.dataset.columns
    }


def test_rows_of_a_file_are_profiled_as_the_log_would_profile_them(trained):
    """Inputs to the last bit; answers are counted alike."""
    analyzer = _analyzer(trained)

    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(trained.rows())
    def holds(rows):
        records, n_refused = [], 0
        for row in rows:
            try:
                said = trained.predictor.answer(row)
            except InvalidInputError:
                n_refused += 1
                continue
            inputs, signals = trained.predictor.observed(row)
            records.append(
                PredictionRecord("", "v", "", answer=said, inputs=inputs, signals=signals)
            )
        expected = analyzer.reference.of(records).to_dict()
        found = analyzer.profile(_cells(trained, rows), len(rows))
        got = found.window.to_dict()
        assert (got["n_rows"], found.n_refused) == (expected["n_rows"], n_refused)
        for name, source in analyzer.reference.sources.items():
            if isinstance(source, InputSource | TextSource):
                assert got["columns"][name] == expected["columns"][name], name
            elif name == PREDICTION and analyzer.reference.classes:
                assert got["columns"][name] == expected["columns"][name]

    holds()


def test_a_profile_is_the_same_however_its_rows_are_cut_and_ordered(trained):
    """To the last bit: however many parts, and whatever the order of the rows."""
    analyzer, rng = _analyzer(trained), np.random.default_rng(3)
    rows = read_rows(trained.artifacts, trained.spec.name, trained.version, TRAIN)
    numbers = [name for name, c in trained.spec.dataset.columns.items() if c.type == "number"]
    rows += [
        row | dict.fromkeys(numbers, zero)
        for row, zero in zip(rows[:20], [0.0, -0.0] * 10, strict=True)
    ]
    rows = [rows[i] for i in rng.integers(0, len(rows), 1200)]
    rows[::50] = [dict.fromkeys(row) for row in rows[::50]]  # some are refused
    whole = analyzer.profile(_cells(trained, rows), len(rows)).to_bytes()
    for n_cuts in (1, 7, 30):
        for order in (range(len(rows)), rng.permutation(len(rows))):
            merged = analyzer.empty()
            for part in np.array_split(np.array(order), n_cuts):
                cells = _cells(trained, [rows[i] for i in part])
                merged.add(analyzer.read(analyzer.profile(cells, len(part)).to_bytes()))
            assert merged.to_bytes() == whole


def test_a_dense_linear_model_answers_alike_however_rows_are_cut(linear):
    """To the last bit too."""
    test_a_profile_is_the_same_however_its_rows_are_cut_and_ordered(linear)


def test_no_feature_replaces_a_column_that_stays(linear):
    """A feature of the same name gets another one."""
    analyzer = _analyzer(linear)
    name = analyzer.feature_columns(())[0]
    known = read_rows(linear.artifacts, linear.spec.name, linear.version, TRAIN)[:3]
    cells = _cells(linear, [{n: row[n] for n in linear.spec.dataset.columns} for row in known])
    cells[name] = pa.array(["1", "1.0", " 1"])
    found = analyzer.features(cells, 3, (name,))
    assert found.column(name).to_pylist() == ["1", "1.0", " 1"]
    assert f"{name} (2)" in found.schema.names
    assert (
        len(set(found.schema.names)) == len(found.schema.names) == 1 + analyzer.predictor.view.width
    )


def test_features_of_a_file_are_those_of_each_row(trained):
    """The same numbers under the feature's own name, or as indices and values."""
    analyzer = _analyzer(trained)
    view, names = analyzer.predictor.view, analyzer.feature_columns(("id",))

    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(trained.rows())
    def holds(rows):
        found = analyzer.features(_cells(trained, rows), len(rows), ("id",))
        assert found.schema.names == ["id", *names]
        expected = []
        for row in rows:
            try:
                trained.predictor.answer(row)
            except InvalidInputError:
                continue
            read = {n: normalized(v, analyzer.predictor.columns[n].type, analyzer.predictor.missing)
                    for n, v in row.items()}  # fmt: skip
            expected.append(view.apply(view.prepare(read)))
        assert found.num_rows == len(expected)
        for got, features in zip(found.to_pylist(), expected, strict=True):
            if names == [*SPARSE_COLUMNS]:
                pairs = dict(zip(got["indices"], got["values"], strict=True))
                assert pairs == {i: v for i, v in features.items() if v}
            else:
                assert [got[name] for name in names] == pytest.approx(
                    [features.get(i, 0.0) for i in range(view.width)], nan_ok=True
                )

    holds()


def _cell(value):
    """Write a value as a file does."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return None if value is None else repr(value)


def test_every_answer_to_a_hostile_row_is_finite(trained):
    """Probabilities add up to one."""

    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(trained.rows())
    def holds(rows):
        for row in rows:
            scores = trained.predictor.score(row)
            assert all(math.isfinite(score) for score in scores)
            if trained.predictor.classes:
                assert sum(scores) == pytest.approx(1.0)

    holds()


def test_contributions_add_up_to_the_score_and_the_score_to_the_probability(trained):
    """Base, what is shown and the rest; log-odds are those of the answer."""
    for row in read_rows(trained.artifacts, trained.spec.name, trained.version, TEST)[:20]:
        inputs = {name: row[name] for name in trained.spec.dataset.columns}
        answer = trained.predictor.answer(inputs, explain=3)
        found = answer.explanation
        shown = sum(part.contribution for part in found.contributions)
        assert found.base + shown + found.rest == pytest.approx(found.score, abs=1e-9)
        if len(trained.predictor.classes) == 2:
            assert 1 / (1 + math.exp(-found.score)) == pytest.approx(answer.confidence)
        if not trained.predictor.classes:
            assert found.score == pytest.approx(answer.prediction)


def test_features_are_learned_on_training_rows_only(trained):
    """Test rows replaced by nonsense change nothing that was learned."""
    rows = read_rows(trained.artifacts, trained.spec.name, trained.version, TRAIN)
    held_out = read_rows(trained.artifacts, trained.spec.name, trained.version, TEST)
    assert rows
    assert held_out
    folder = f"runs/{trained.spec.name}/r"
    before = trained.artifacts.get(f"{folder}/features/view/bundle.json")
    world = MemoryArtifacts()
    for key, body in trained.artifacts.objects.items():
        if key.startswith("datasets/") and "/test/" not in key:
            world.put(key, body)
    fit_feature_views(
        FitFeatureViewsRequest(trained.spec.name, "r", trained.version),
        spec=trained.spec, artifacts=world,
    )  # fmt: skip
    assert world.get(f"{folder}/features/view/bundle.json") == before


# What the replaced systems did wrong, beside what the tests of each module show.


def _reads(name, body, filename="rows.csv"):
    validator = Validator(load_project(name, PROJECTS))
    validator.add_file(read_records(BytesIO(body), filename, ByteBudget(10**6)), filename)
    return validator.result


def test_housing_accepts_the_greatest_distance_of_its_own_data():
    """A limit of 12 refused DIS = 12.1265."""
    header = "CRIM,ZN,INDUS,CHAS,NOX,RM,AGE,DIS,RAD,TAX,PTRATIO,B,LSTAT,MEDV"
    row = "0.01,0,2,0,0.4,6,20,12.1265,4,300,16,390,5,25"
    result = _reads("housing", f"{header}\n{row}\n".encode())
    assert (len(result.rows), len(result.rejected)) == (1, 0)


@pytest.mark.parametrize(
    ("categories", "group"),
    [
        ("Public Services", "other"), ("Barbers", "other"), ("Spanish", "other"),
        ("Bars, Nightlife", "bar"), ("Day Spas", "health"), ("Pizza", "restaurant"),
    ],
)  # fmt: skip
def test_messages_group_businesses_by_whole_words(categories, group):
    """ "Public Services" held a pub, "Spanish" a spa."""
    spec = load_project("messages", PROJECTS)
    deriver = Deriver({name: d.model_dump(mode="json") for name, d in spec.derived.items()})
    row = dict.fromkeys(spec.dataset.columns) | {"categories": categories}
    extended = deriver.extended(row)
    assert extended["main_category_group"] == group


def test_messages_count_nothing_where_there_is_nothing():
    """Splitting an empty text gave one elite year and one category."""
    spec = load_project("messages", PROJECTS)
    deriver = Deriver({name: d.model_dump(mode="json") for name, d in spec.derived.items()})
    row = dict.fromkeys(spec.dataset.columns) | {"elite": "", "categories": ""}
    extended = deriver.extended(row)
    assert (extended["elite_count"], extended["category_count"]) == (0, 0)


def test_no_votes_of_later_days_are_features_of_a_message():
    """A new message has none yet."""
    columns = set(load_project("messages", PROJECTS).dataset.columns)
    assert not columns & {"useful", "funny", "cool"}


def test_customers_do_not_read_what_is_known_only_after_the_call():
    """`duration` gives the answer away; ids and dates mean nothing tomorrow."""
    body = (
        "key_value,codunicocli,fch_creacion,duration,age,target\n"
        + "".join(f"k{i},{i},2024-01-{i % 28 + 1:02d},{i},{20 + i % 50},{i % 2}\n" for i in range(600))
    ).encode()  # fmt: skip
    spec, artifacts = load_project("customers", PROJECTS), MemoryArtifacts()
    artifacts.put("inbox/p1.csv", body)
    result = prepare_dataset(
        PrepareDatasetRequest("customers", "r", ("inbox/p1.csv",)), spec=spec, artifacts=artifacts
    )
    columns = spec_of_dataset(artifacts, spec, result.dataset_version).dataset.columns
    assert "age" in columns
    assert not set(columns) & {"key_value", "codunicocli", "fch_creacion", "duration"}


def test_the_customers_window_keeps_the_newest_files():
    """Five of p6 to p12: four to train on, the newest to test on; p10 comes after p9."""
    spec, artifacts = load_project("customers", PROJECTS), MemoryArtifacts()
    keys = []
    for number in range(6, 13):
        lines = "".join(f"{number},{i % 9},{i % 2}\n" for i in range(150))
        keys.append(f"inbox/p{number}_extrac.csv")
        artifacts.put(keys[-1], f"part,x,target\n{lines}".encode())
    result = prepare_dataset(
        PrepareDatasetRequest("customers", "r", tuple(reversed(keys))), spec=spec, artifacts=artifacts
    )  # fmt: skip
    train = read_rows(artifacts, "customers", result.dataset_version, TRAIN)
    held_out = read_rows(artifacts, "customers", result.dataset_version, TEST)
    assert {row["part"] for row in train} == {8, 9, 10, 11}
    assert {row["part"] for row in held_out} == {12}
    assert all(artifacts.exists(key) for key in keys)


def test_a_number_as_the_group_of_tickets_has_probabilities_whatever_the_algorithm(tickets):
    """The replaced system's refit lost an SVM's probabilities; ours calibrates every score."""
    assert tickets.calibration.method == "sigmoid"
    assert {"svm", "logistic_regression", "random_forest", "xgboost", "lightgbm",
            "gradient_boosting", "extra_trees"} <= {c.algorithm for c in tickets.candidates}  # fmt: skip
