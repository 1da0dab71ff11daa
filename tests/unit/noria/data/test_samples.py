from collections import Counter

from noria.data.samples import sample_tickets


def test_equal_seeds_give_equal_tickets_and_others_differ():
    """Sample data is repeatable."""
    assert list(sample_tickets(50, seed=1)) == list(sample_tickets(50, seed=1))
    assert list(sample_tickets(50, seed=1)) != list(sample_tickets(50, seed=2))


def test_shuffling_labels_keeps_texts_and_class_counts():
    """Only the tie between text and label is cut."""
    plain, shuffled = (list(sample_tickets(200, shuffle_labels=s)) for s in (False, True))
    assert [row[1] for row in plain] == [row[1] for row in shuffled]
    assert Counter(row[3] for row in plain) == Counter(row[3] for row in shuffled)
    assert [row[3] for row in plain] != [row[3] for row in shuffled]
