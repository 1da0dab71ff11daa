"""Chunks of the log become profiles and filed answers, once."""

from noria.steps.profile_log_chunk import ProfileLogChunkRequest, profile_log_chunk
from tests.support.production import START, Production, loan_rows


def test_the_same_chunk_again_changes_nothing():
    """Events are delivered at least once."""
    p = Production()
    p.log(loan_rows(20), START)
    (key,) = [k for k in p.store.objects if k.startswith("predictions/")]
    before = dict(p.store.objects)
    result = profile_log_chunk(ProfileLogChunkRequest(key), artifacts=p.store)
    assert p.store.objects == before
    assert (result.n_records, result.n_unreadable, result.n_profiles) == (20, 0, 1)


def test_unreadable_lines_of_a_chunk_are_counted_and_the_others_kept():
    """Half a line at the end of a chunk loses one record."""
    p = Production()
    p.log(loan_rows(20), START)
    (key,) = [k for k in p.store.objects if k.startswith("predictions/")]
    import gzip

    body = gzip.decompress(p.store.get(key))
    p.store.put(key, body + body[:100] + b"\n[]\n")
    result = profile_log_chunk(ProfileLogChunkRequest(key), artifacts=p.store)
    assert (result.n_records, result.n_unreadable) == (20, 2)
