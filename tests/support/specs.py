"""Small specs that train in a second."""

from noria.spec.loader import parse_spec
from noria.spec.model import ProjectSpec

QUICK_TICKETS = """
[project]
name = "quick"
task = "classification"
description = "tickets with two quick candidates"
[dataset]
min_rows = 50
[dataset.columns]
short_description = { type = "text", required = true, pii = true }
close_notes = { type = "text" }
[target]
column = "etiqueta"
labels = ["0", "1", "2"]
[split]
kind = "stratified"
[[features]]
name = "words"
kind = "text"
columns = ["short_description", "close_notes"]
stop_words = "spanish"
stemming = "spanish"
[[candidates]]
name = "logistic"
algorithm = "logistic_regression"
params = { C = 5.0 }
[[candidates]]
name = "forest"
algorithm = "random_forest"
params = { n_estimators = 10 }
[evaluation]
primary_metric = "f1_weighted"
metrics = ["f1_weighted", "accuracy"]
folds = 2
bootstrap_replicates = 300
[promotion]
min_improvement = 0.01
gates = [{ metric = "f1_weighted", min = 0.6 }]
"""


def quick_tickets() -> ProjectSpec:
    """Return the tickets spec with two candidates that train in a moment."""
    return parse_spec(QUICK_TICKETS, source="quick.toml")
