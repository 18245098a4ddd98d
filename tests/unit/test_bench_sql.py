"""`lrrg bench sql` asks its questions of a database that has something to say."""

from lrrg.pipelines import settings
from lrrg.pipelines.bench.engines import COPIES, bench_memory, bench_merge
from lrrg.pipelines.bench.sql import QUESTIONS, bench_sql
from lrrg.tests import stored


def test_every_question_is_asked_and_answered():
    timings = list(bench_sql(stored.recipe(), images=600))
    assert [timing.question for timing in timings] == ["derive every label", *QUESTIONS]
    rows = {timing.question: timing.rows for timing in timings}
    assert rows["worst 100"] == 100
    assert rows["one image"] == 1
    assert rows["defects"] == 6
    assert rows["by status, regime, route"] == 3
    assert all(timing.seconds > 0 for timing in timings)


def test_the_merge_of_shards_is_timed_on_rows_that_are_all_merged():
    found = bench_merge(settings.load(), rows=200, shards=3)
    assert [each.what for each in found] == ["merge", *COPIES]
    assert {(each.rows, each.shards) for each in found} == {(200, 3)}
    assert all(each.seconds > 0 for each in found)


def test_the_memory_of_a_merge_is_looked_at_until_the_database_is_closed():
    found = bench_memory(settings.load(), rows=2048 + 1)
    assert [(each.shards, each.rows) for each in found] == [(1, 683), (2, 1366), (3, 2049), (3, 2049)]
    assert all(0 < each.resident_mb <= each.peak_mb for each in found)
    *merging, closed = (each.key_mb for each in found)
    assert 0 < merging[0] <= merging[-1] < found[-1].peak_mb
    assert closed == 0
