"""Files of workers that have ended are merged, and nobody who reads sees anything of it but fewer files."""

import json
import random
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict

from app.server.metric_files import MetricFiles


def write(folder: Path, name: str, values: dict[str, float], metric: str = "seen", **labels: str) -> None:
    """What a worker leaves in its file *name*: samples with their values."""
    file = MmapedDict(str(folder / f"{name}.db"))
    for sample, value in values.items():
        file.write_value(json.dumps([metric, sample, labels, "Help."], sort_keys=True), value, 0.0)
    file.close()


def samples(files: MetricFiles) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples, as a scrape has them."""
    registry = CollectorRegistry()
    registry.register(files)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_what_a_worker_has_counted_stays_when_it_ends_and_its_files_go(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    write(tmp_path, "counter_1", {"seen_total": 3})
    write(tmp_path, "counter_2", {"seen_total": 4})
    write(tmp_path, "histogram_1", {"lag_sum": 0.5}, "lag")
    write(tmp_path, "histogram_1", {"lag_bucket": 2}, "lag", le="1.0")
    write(tmp_path, "summary_1", {"size_sum": 8, "size_count": 2}, "size")
    before = samples(files)
    assert before[("seen_total", ())] == 7
    assert before[("lag_count", ())] == 2
    files.worker_ended(1)
    files.worker_ended(2)
    assert samples(files) == before
    assert {file.name for file in tmp_path.iterdir()} == {"counter_ended.db", "histogram_ended.db", "summary_ended.db"}


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**9), min_size=1), min_size=1, max_size=8))
def test_any_number_of_ends_changes_no_sum(
    tmp_path_factory: pytest.TempPathFactory, workers: list[dict[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    files, expected = MetricFiles(folder), Counter[str]()
    for pid, counted in enumerate(workers):
        for label, count in counted.items():
            write(folder, f"counter_{pid}", {"seen_total": count}, label=label)
        expected.update(counted)
    wanted = {("seen_total", (("label", label),)): count for label, count in expected.items()}
    assert samples(files) == wanted
    for pid in range(len(workers)):
        files.worker_ended(pid)
        assert samples(files) == wanted
    assert len(list(folder.iterdir())) == 1


@given(st.lists(st.floats(0, 10), min_size=2, max_size=6), st.randoms())
def test_a_sum_of_fractions_is_not_less_by_a_digit_in_another_order(
    tmp_path_factory: pytest.TempPathFactory, sums: list[float], dice: random.Random
) -> None:
    """Prometheus would see a counter that has begun anew, and count all of it once more."""
    folder = tmp_path_factory.mktemp("files")
    files = MetricFiles(folder)
    for pid, value in enumerate(sums):
        write(folder, f"histogram_{pid}", {"lag_sum": value}, "lag")
    before = samples(files)
    pids = list(range(len(sums)))
    dice.shuffle(pids)
    for pid in pids:
        files.worker_ended(pid)
        after = samples(files)
        assert all(after[series] >= value for series, value in before.items())
        before = after


def test_a_gauge_of_a_worker_that_has_ended_is_gone_unless_it_outlives_it_by_its_kind(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    for pid, value in ((1, 5), (2, 3)):
        for kind in ("livesum", "livemax", "all", "sum", "max", "min"):
            write(tmp_path, f"gauge_{kind}_{pid}", {kind: value}, kind)
    files.worker_ended(1)
    assert samples(files) == {
        ("livesum", ()): 3,
        ("livemax", ()): 3,
        ("all", (("pid", "2"),)): 3,
        ("sum", ()): 8,
        ("max", ()): 5,
        ("min", ()): 3,
    }


def test_an_end_is_not_seen_by_those_who_read_meanwhile(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    workers = range(1, 61)
    for pid in workers:
        write(tmp_path, f"counter_{pid}", {f"seen{number}_total": 1.0 for number in range(20)})
    found: set[float] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            found.update(samples(files).values())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for pid in workers:
            files.worker_ended(pid)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    found.update(samples(files).values())
    assert found == {60.0}
    assert [file.name for file in tmp_path.iterdir()] == ["counter_ended.db"]


def test_a_file_that_a_worker_was_only_making_when_it_was_killed_breaks_nothing(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    write(tmp_path, "counter_1", {"seen_total": 3})
    (tmp_path / "counter_2.db").touch()
    assert samples(files) == {("seen_total", ()): 3}
    files.worker_ended(2)
    assert samples(files) == {("seen_total", ()): 3}
    assert [file.name for file in tmp_path.iterdir()] == ["counter_1.db"]


@pytest.mark.parametrize("content", [b"\0\0", b"\x40\0\0\0\0\0\0\0" + b"\xff" * 64], ids=["short", "keys"])
def test_a_damaged_file_is_dropped_with_a_sentence_and_the_others_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    files = MetricFiles(tmp_path)
    for kind in ("counter", "histogram", "summary"):
        write(tmp_path, f"{kind}_1", {f"{kind}_total": 3}, kind)
    (tmp_path / "histogram_1.db").write_bytes(content)
    files.worker_ended(1)
    assert sorted(file.name for file in tmp_path.iterdir() if file.stem.partition("_")[0] != "histogram") == [
        "counter_ended.db",
        "summary_ended.db",
    ]
    assert not (tmp_path / "histogram_1.db").exists()
    assert samples(files) == {("counter_total", ()): 3, ("summary_total", ()): 3}
    [record] = caplog.records
    assert "What a worker had counted in histogram_1.db is lost" in record.getMessage()


@pytest.mark.parametrize("content", [b"\0\0", b"\x40\0\0\0\0\0\0\0" + b"\xff" * 64], ids=["short", "keys"])
def test_a_damaged_file_of_a_worker_that_runs_is_left_out_said_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    files = MetricFiles(tmp_path)
    write(tmp_path, "counter_1", {"seen_total": 3})
    write(tmp_path, "counter_2", {"seen_total": 4})
    (tmp_path / "histogram_2.db").write_bytes(content)
    assert (samples(files), files.unreadable) == ({("seen_total", ()): 7}, 1)
    assert (samples(files), files.unreadable) == ({("seen_total", ()): 7}, 1)
    [record] = caplog.records
    assert (record.levelname, "histogram_2.db is left out" in record.getMessage()) == ("ERROR", True)
    files.worker_ended(2)
    assert (samples(files), files.unreadable) == ({("seen_total", ()): 7}, 0)


def test_of_an_info_only_what_is_so_now_is_seen(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    write(tmp_path, "gauge_livemax_1", {"key_info": 0}, "key_info", key_id="old")
    write(tmp_path, "gauge_livemax_1", {"key_info": 1}, "key_info", key_id="new")
    assert samples(files) == {("key_info", (("key_id", "new"),)): 1}
