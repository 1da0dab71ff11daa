from collections import Counter

import pytest

from cli.samples.customers import CUSTOMER_COLUMNS, sample_customers
from cli.samples.messages import sample_messages
from cli.samples.tickets import sample_tickets

MAKERS = {
    "tickets": lambda n, **k: [(row[1], row[3]) for row in sample_tickets(n, **k)],
    "messages": lambda n, **k: [(r["text"], r["stars"]) for r in sample_messages(n, **k).reviews],
    "customers": lambda n, **k: [(row[:-1], row[-1]) for row in sample_customers(n, **k)],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_equal_seeds_give_equal_rows_and_others_differ(make):
    """Sample data is repeatable."""
    assert make(50, seed=1) == make(50, seed=1)
    assert make(50, seed=1) != make(50, seed=2)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_shuffling_labels_keeps_rows_and_class_counts(make):
    """Only the tie between row and label is cut."""
    plain, shuffled = (make(300, shuffle_labels=s) for s in (False, True))
    assert [row[0] for row in plain] == [row[0] for row in shuffled]
    assert Counter(row[1] for row in plain) == Counter(row[1] for row in shuffled)
    assert [row[1] for row in plain] != [row[1] for row in shuffled]


def test_drift_brings_new_words_and_a_new_mix():
    """More of it the further it goes."""
    words = {
        drift: {w for text, _ in MAKERS["tickets"](800, drift=drift) for w in text.split()}
        for drift in (0.0, 0.5, 1.0)
    }
    assert "nube" not in words[0.0]
    assert "nube" in words[0.5]
    causes = {d: Counter(c for _, c in MAKERS["tickets"](2000, drift=d)) for d in (0.0, 1.0)}
    assert causes[1.0]["2"] > 1.5 * causes[0.0]["2"]
    stars = {d: [s for _, s in MAKERS["messages"](2000, drift=d)] for d in (0.0, 1.0)}
    assert sum(stars[1.0]) < sum(stars[0.0]) - 1000


def test_drift_moves_the_customers_numbers():
    """Incomes fall, use of cards rises."""
    income, use = CUSTOMER_COLUMNS.index("ingreso_mensual"), CUSTOMER_COLUMNS.index("utilizacion_tarjeta")  # fmt: skip
    then, now = (list(sample_customers(2000, drift=d)) for d in (0.0, 1.0))
    assert sum(r[income] for r in now) < 0.8 * sum(r[income] for r in then)
    mean = lambda rows: sum(r[use] for r in rows if r[use] != "") / len(rows)  # noqa: E731
    assert mean(now) > mean(then) + 0.1


def test_messages_come_with_their_tables():
    """Every review has its author and its business."""
    tables = sample_messages(400)
    assert {r["user_id"] for r in tables.reviews} <= {u["user_id"] for u in tables.users}
    known = {b["business_id"] for b in tables.businesses}
    assert {r["business_id"] for r in tables.reviews} <= known
    dates = [r["date"] for r in tables.reviews]
    assert dates == sorted(dates)
