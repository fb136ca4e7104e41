"""Running: the same bytes however often it is repeated, killed, sharded or shared between processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import run as running
from benchmarks.harness.provenance import read_provenance, write_provenance
from benchmarks.harness.results import read_correctness, read_table, write_table
from benchmarks.harness.run import Execution, Run, write
from benchmarks.measurements import ConversionLoss, EncodingError
from benchmarks.measurements.lab import Lab
from benchmarks.methods.tmn import TMN
from benchmarks.profiles import load_profile
from benchmarks.tmn.artifacts import ARTIFACTS
from snncore.conversion import tmn

SCHEMAS = {artifact.name: artifact.schema for artifact in ARTIFACTS}
ROOT = Path(__file__).parents[3]


def count_runs(bench: Any, kind: type) -> list[tuple[int, int]]:
    """Notes the shards that a measurement runs on from now on."""
    seen: list[tuple[int, int]] = []
    original = kind.run

    def noted(self: Any, lab: Any, start: int, stop: int) -> Any:
        seen.append((start, stop))
        return original(self, lab, start, stop)

    bench.patch.setattr(kind, "run", noted)
    return seen


@contextmanager
def interrupting(kind: type, call: int) -> Iterator[None]:
    """As if Ctrl-C were pressed in a call of ``run``, counted from 1."""
    original, begun = kind.run, []

    def interrupted(self: Any, lab: Any, start: int, stop: int) -> Any:
        begun.append(start)
        if len(begun) == call:
            raise KeyboardInterrupt
        return original(self, lab, start, stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "run", interrupted)
        yield


# ---- first and second run ---------------------------------------------------------------------------------------------


def test_the_first_run_writes_every_table_with_what_stands_behind_it(finished: Any) -> None:
    names = set(finished.files())
    assert names >= {f"{name}.{kind}" for name in SCHEMAS for kind in ("csv", "json")}
    assert {name for name in names if name.endswith(".npz")} == {"table2.npz", "controls.npz", "figure4a.npz", "timesteps.npz"}
    assert not [name for name in names if name.startswith(".")]
    table = read_table(finished.results / "timesteps.csv", SCHEMAS["timesteps"])
    assert table["status"].tolist() == ["stand-in"] * 5
    assert table["n_test"].tolist() == [40, 40, 40, 40, 20]
    correct = read_correctness(finished.results / "timesteps.npz")
    key = "CIFAR-10,ResNet-20,TMN,percentile-99.99,3#snn"
    assert table["snn_metric"][1] == pytest.approx(100 * correct[key].mean(), abs=0.005)


def test_rows_that_cannot_run_say_why_and_do_not_stop_the_others(finished: Any) -> None:
    table = read_table(finished.results / "table2.csv", SCHEMAS["table2"]).set_index("row")
    assert table.loc[7, "status"] == "stand-in"
    assert table.loc[8, "status"] == "not run: too large for a test"
    assert table.loc[14, "status"] == "not run: too large for a test"
    assert table.loc[2, "status"] == "stand-in"  # every method runs on full precision


def test_provenance_names_data_weights_and_table(finished: Any) -> None:
    record = read_provenance(finished.results / "timesteps.json")
    assert list(record["checkpoints"]) == ["resnet20-thin on sklearn/digits (tiny.safetensors)"]
    assert set(record["datasets"]) == {"sklearn/digits train", "sklearn/digits test"}
    assert record["seeds"] == []  # given weights have no seed of ours
    assert read_provenance(finished.results / "figure1d.json")["checkpoints"] == {}


def test_a_second_run_changes_no_byte_and_measures_nothing(finished: Any) -> None:
    before = finished.files()
    measured = count_runs(finished, ConversionLoss) + count_runs(finished, EncodingError)
    ran = finished.run()
    assert ran.code == 0
    assert not any(entry["changed"] for entry in json.loads(ran.out))
    assert measured == []
    assert finished.files() == before


def test_a_network_is_trained_before_those_that_are_made_of_it_and_each_once(bench: Any) -> None:
    seen: list[Any] = []

    def noted(lab: Lab, choice: Any, note: Any) -> running.Prepared:
        seen.append(choice)
        return running.Prepared(reason="not now")

    bench.patch.setattr(running, "_prepare", noted)
    assert bench.run("table2", profile="embedded").code == 0
    unnamed = [choice.unnamed for choice in seen]
    quantized = [i for i, choice in enumerate(seen) if choice.quantizer]
    assert quantized and all(seen[i].full_precision.unnamed in unnamed[: quantized[0]] for i in quantized)
    assert len(set(unnamed)) == len(unnamed)


# ---- killed -----------------------------------------------------------------------------------------------------------


def test_what_two_rows_have_in_common_is_measured_once(finished: Any) -> None:
    text = (finished.folder / "tiny.toml").read_text(encoding="utf-8")
    start, end = text.index("[[networks]]"), text.index("[missing]")
    other = text[start:end].replace('"CIFAR-10"', '"CIFAR-100"')
    listed = 'networks = [["CIFAR-10", "ResNet-20"]]'
    both = finished.write_profile(("[missing]", other + "[missing]"), (listed, f'{listed[:-1]}, ["CIFAR-100", "ResNet-20"]]'))
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))
    seen = count_runs(finished, ConversionLoss)
    assert finished.run("timesteps", profile=both).code == 0
    alone = len(seen)
    table = read_table(finished.results / "timesteps.csv", SCHEMAS["timesteps"])
    assert set(table["dataset"]) == {"CIFAR-10", "CIFAR-100"}
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "emptier"))
    assert finished.run("timesteps").code == 0
    assert len(seen) == 2 * alone


def test_an_interrupted_run_goes_on_where_it_was(finished: Any) -> None:
    reference = finished.tables()
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))
    before = finished.files()
    with interrupting(EncodingError, call=2):
        stopped = finished.run("figure4b")
    assert stopped.code == 130 and "run the same command again" in stopped.err
    assert finished.files() == before

    resumed = count_runs(finished, EncodingError)
    assert finished.run("figure4b").code == 0
    assert len(resumed) == 3 * 2 - 1  # three methods on two shards, less the finished one
    assert finished.tables() == reference


@pytest.mark.parametrize("there", [False, True])
def test_an_interrupted_run_writes_the_rows_that_it_has_finished(finished: Any, there: bool) -> None:
    reference = finished.tables()
    csv = finished.results / "figure4b.csv"
    lines = csv.read_text(encoding="utf-8").splitlines()
    stale = [line.replace(",stand-in", ",measured") for line in lines]
    if there:
        csv.write_text("\n".join(stale) + "\n", encoding="utf-8")
    else:
        csv.unlink()
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))
    with interrupting(EncodingError, call=6):  # three methods on two shards each
        stopped = finished.run("figure4b")
    assert stopped.code == 130 and "2 finished rows in" in stopped.err and "figure4b.csv" in stopped.err
    written = csv.read_text(encoding="utf-8").splitlines()
    fresh = [line for line in written if line in lines]
    assert len({line.split(",")[1] for line in fresh[1:]}) == 2
    kept = [line for line in written if line not in lines]
    assert kept == ([line for line in stale[1:] if line.split(",")[1] == kept[0].split(",")[1]] if there else [])
    assert len(fresh) + len(kept) == (len(lines) if there else len(fresh))

    assert finished.run("figure4b").code == 0
    assert finished.tables() == reference


def test_a_run_that_is_interrupted_before_it_measures_leaves_all_as_it_was(finished: Any) -> None:
    before = finished.files()

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lab, "trained", interrupted)
        stopped = finished.run("figure4b", "timesteps")
    assert stopped.code == 130 and "finished row" not in stopped.err
    assert finished.files() == before


def test_an_interrupted_run_leaves_a_damaged_table_as_it_is(finished: Any) -> None:
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))
    (finished.results / "figure4b.csv").write_text("nonsense", encoding="utf-8")
    with interrupting(EncodingError, call=6):
        stopped = finished.run("figure4b")
    assert stopped.code == 130 and "2 finished rows not written: " in stopped.err
    assert (finished.results / "figure4b.csv").read_text(encoding="utf-8") == "nonsense"


@pytest.mark.parametrize("lost", ["csv", "npz", "json"])
def test_a_run_killed_between_two_files_is_completed(finished: Any, lost: str) -> None:
    reference = finished.tables()
    (finished.results / f"timesteps.{lost}").unlink()
    assert finished.run("timesteps").code == 0
    assert finished.tables() == reference
    assert (finished.results / "timesteps.json").exists()


def started(bench: Any, name: str, images: int, jobs: str = "1") -> tuple[subprocess.Popen[bytes], Path]:
    """Figure 4(b) in a process of its own, which has all test images, with its cache and its table."""
    end = "\n\n[papers.tmn.figure4c]"
    profile = bench.write_profile((f"timesteps = [2]{end}", f"timesteps = [2]\ntest_images = {images}{end}"))
    command = [sys.executable, "-m", "benchmarks.harness.cli", "run", "tmn", "figure4b", "--profile", profile, "--jobs", jobs]
    environment = os.environ | {"SNNBENCH_CACHE": str(bench.folder / name), "PYTHONPATH": str(ROOT)}
    where = bench.folder / f"results-{name}"
    process = subprocess.Popen([*command, "--no-report", "--results", str(where)], env=environment, cwd=bench.folder)
    return process, where / "tiny" / "tmn" / "figure4b.csv"


@pytest.mark.slow
def test_a_killed_process_leaves_what_it_finished(finished: Any) -> None:
    process, csv = started(finished, "killed", 400)
    entries = finished.folder / "killed" / "measurements"
    while process.poll() is None and not list(entries.glob("*/*.npz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not csv.exists()
    kept = {path.name for path in entries.glob("*/*.npz")}
    assert 0 < len(kept) < 60

    process, csv = started(finished, "killed", 400)
    assert process.wait() == 0
    process, whole = started(finished, "whole", 400)
    assert process.wait() == 0
    assert csv.read_bytes() == whole.read_bytes()
    assert kept <= {path.name for path in entries.glob("*/*.npz")}


# ---- shards, rows, processes ------------------------------------------------------------------------------------------


def test_where_an_image_takes_long_a_shard_has_fewer_images(finished: Any) -> None:
    reference = finished.tables()
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))
    finished.patch.setattr(ConversionLoss, "cost", lambda self: 150.0 if self.method == "TMN" else 100.0)
    seen = count_runs(finished, ConversionLoss)
    assert finished.run("timesteps", profile=finished.write_profile(("shard = 20", "shard = 40"))).code == 0
    assert {(0, 20), (20, 40)} <= set(seen)  # 26 images are one batch and a bit
    assert (0, 40) in seen
    assert finished.tables() == reference


@pytest.mark.parametrize("shard", [40, 1000])
def test_the_size_of_shards_does_not_matter(finished: Any, shard: int) -> None:
    reference = finished.tables()
    profile = finished.write_profile(("shard = 20", f"shard = {shard}"))
    assert finished.run("timesteps", "figure4b", profile=profile).code == 0
    assert finished.tables() == reference


def test_rows_are_reproduced_and_others_kept(finished: Any) -> None:
    reference = finished.files()
    path = finished.results / "timesteps.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert finished.run("timesteps", "--rows", "2").code == 0
    assert finished.files() == reference

    path.write_text("".join(lines[:2] + lines[3:]), encoding="utf-8")  # row 2 is missing
    assert finished.run("timesteps", "--rows", "2").code == 0
    assert path.read_text(encoding="utf-8") == "".join(lines)
    assert finished.tables() == {name: content for name, (content, _) in reference.items() if not name.endswith(".json")}


def test_a_run_of_some_rows_keeps_the_provenance_of_the_others(finished: Any) -> None:
    table, beside = finished.results / "timesteps.csv", finished.results / "timesteps.json"
    lines, whole = table.read_text(encoding="utf-8").splitlines(keepends=True), read_provenance(beside)
    earlier = {"commit": "a" * 40, "dirty": False}
    write_provenance(beside, whole | {"git": earlier}, table_changed=True)
    table.write_text("".join(lines[:2] + lines[3:]), encoding="utf-8")
    assert finished.run("timesteps", "--rows", "2").code == 0
    record = read_provenance(beside)
    assert record["git"] == whole["git"] | {"earlier": [earlier]}
    assert {name: record[name] for name in ("datasets", "checkpoints", "seeds")} == {
        name: whole[name] for name in ("datasets", "checkpoints", "seeds")
    }

    table.write_text("".join(lines[:2] + lines[3:]), encoding="utf-8")
    assert finished.run("timesteps").code == 0
    assert read_provenance(beside)["git"] == whole["git"]


def test_rows_run_one_by_one_end_in_the_order_of_the_table(finished: Any) -> None:
    reference = finished.tables()
    for kind in ("csv", "npz", "json"):
        (finished.results / f"timesteps.{kind}").unlink()
    for rows in ("5", "2-3", "1,4"):
        assert finished.run("timesteps", "--rows", rows).code == 0
    assert finished.tables() == reference


def test_runs_of_different_rows_at_once_lose_none(finished: Any) -> None:
    reference = finished.tables()
    for kind in ("csv", "npz", "json"):
        (finished.results / f"timesteps.{kind}").unlink()
    original, inside = running._merge_stored, threading.Barrier(4)

    def slow(*arguments: Any) -> Any:
        merged = original(*arguments)
        with suppress(threading.BrokenBarrierError):
            inside.wait(0.3)  # all four would be here at once, but for the lock
        return merged

    finished.patch.setattr(running, "_merge_stored", slow)
    lab = Lab(load_profile("tiny.toml"))
    (artifact,) = (artifact for artifact in ARTIFACTS if artifact.name == "timesteps")

    def part(row: int) -> None:
        run = Run(lab, [artifact], Execution(), {row})
        (table,) = run.tables()
        write(table, run, finished.results, partial=True)

    part(5)
    threads = [threading.Thread(target=part, args=(row,)) for row in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished.tables() == reference and inside.broken


def test_a_row_that_was_not_run_leaves_no_trace_once_it_is(finished: Any) -> None:
    """Figure 4(b) has one line for a row that is not run and one per layer for one that is."""
    reference = finished.tables()
    without = finished.write_profile(('paper_dataset = "CIFAR-10"', 'paper_dataset = "CIFAR-9"'))
    assert finished.run("figure4b", profile=without).code == 0
    assert len((finished.results / "figure4b.csv").read_text(encoding="utf-8").splitlines()) == 1 + 3
    for row in ("3", "1", "2"):
        assert finished.run("figure4b", "--rows", row).code == 0
    assert finished.tables() == reference


def test_rows_that_the_profile_no_longer_has_are_dropped(finished: Any) -> None:
    before = (finished.results / "figure4a.csv").read_text(encoding="utf-8")
    profile = finished.write_profile(("precharge = [0, 1]", "precharge = [1]"))
    assert finished.run("figure4a", "--rows", "1", profile=profile).code == 0
    after = (finished.results / "figure4a.csv").read_text(encoding="utf-8")
    assert len(after.splitlines()) == 1 + (len(before.splitlines()) - 1) // 2
    assert set(after.splitlines()) <= set(before.splitlines())


@pytest.mark.slow
def test_parallel_processes_give_the_same_bytes(finished: Any) -> None:
    tables = []
    for jobs in ("1", "2"):
        process, csv = started(finished, f"jobs-{jobs}", 100, jobs)
        assert process.wait() == 0
        tables.append(csv.read_bytes())
    assert tables[0] == tables[1]


# ---- a method of one's own --------------------------------------------------------------------------------------------

OWN_METHOD = """
from benchmarks.methods.rate import Rate
from snncore.conversion import rate


class Own(Rate):
    name = "own"

    def conversion(self, threshold, **options):
        return rate({initial}, threshold)
"""


@pytest.fixture
def own_method(finished: Any) -> Callable[[float], None]:
    def write(initial: float) -> None:
        (finished.folder / "own_method_of_a_test.py").write_text(OWN_METHOD.format(initial=initial), encoding="utf-8")
        sys.modules.pop("own_method_of_a_test", None)
        running._digest.cache_clear()

    finished.patch.syspath_prepend(str(finished.folder))
    finished.patch.setattr(sys, "dont_write_bytecode", True)
    return write


def test_a_method_by_import_path_runs_and_its_code_counts(finished: Any, own_method: Callable[[float], None]) -> None:
    path = "own_method_of_a_test:Own"
    profile = finished.write_profile(("rate = [2, 4] }", f'rate = [2, 4], "{path}" = [2, 4] }}'))

    def measured() -> list[list[str]]:
        own_rows = [line.split(",") for line in (finished.results / "timesteps.csv").read_text(encoding="utf-8").splitlines() if path in line]
        assert len(own_rows) == 2 and all(row[-1] == "stand-in" for row in own_rows)
        return [row[5:] for row in own_rows]

    own_method(0.0)
    assert finished.run("timesteps", profile=profile).code == 0
    rate_rows = [line.split(",")[5:] for line in (finished.results / "timesteps.csv").read_text(encoding="utf-8").splitlines() if ",rate," in line]
    assert measured() == rate_rows  # it is plain rate coding under another name

    ran_again = count_runs(finished, ConversionLoss)
    assert finished.run("timesteps", profile=profile).code == 0
    assert ran_again == []
    own_method(0.5)  # changed code is measured anew
    assert finished.run("timesteps", profile=profile).code == 0
    assert len(ran_again) == 2


# ---- check ------------------------------------------------------------------------------------------------------------


def differences(ran: Any, artifact: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(ran.out)[artifact]["differences"]
    return found


def test_check_agrees_right_after_a_run(finished: Any) -> None:
    ran = finished.check()
    assert ran.code == 0
    assert all(not found["differences"] and not found["notes"] for found in json.loads(ran.out).values())


def test_check_sees_one_test_image(finished: Any) -> None:
    path = finished.results / "table2.csv"
    table = read_table(path, SCHEMAS["table2"])
    old = table.set_index("row").loc[7, "snn_metric"]
    altered = table.assign(snn_metric=table["snn_metric"].mask(table["row"] == 7, old + 100 / 40))
    assert write_table(path, altered, SCHEMAS["table2"])
    ran = finished.check("table2")
    assert ran.code == 1
    assert ("7,CIFAR-10,TMN", "snn_metric") in {(d["row"][:14], d["column"]) for d in differences(ran, "table2")}
    printed = finished.call("check", "tmn", "table2", "--profile", "tiny.toml", "--jobs", "1")
    assert printed.code == 1
    (line,) = [line for line in printed.out.splitlines() if "| snn_metric:" in line]
    assert "7,CIFAR-10,TMN" in line and f"{old:.2f}" in line


def changed_ratio(finished: Any) -> None:
    """The predictive threshold of TMN at 0.55 of the full one. In a fresh cache, whose keys do not know of a patch."""

    def conversion(self: TMN, threshold: Any, precharge: int = 1, ratio: float = 0.55, ternary: bool = True) -> Any:
        return tmn(precharge, ratio, ternary, threshold)

    finished.patch.setattr(TMN, "conversion", conversion)
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))


def test_check_sees_another_predictive_threshold(finished: Any) -> None:
    changed_ratio(finished)
    ran = finished.check("figure4b", "analytic")
    assert ran.code == 1
    found = {(d["row"], d["column"]) for d in differences(ran, "figure4b")}
    assert ("2,TMN,2,1", "mse") in found
    assert not [row for row, _ in found if "TMN" not in row]
    (preset,) = differences(ran, "analytic")
    assert preset["row"].endswith("method TMN") and preset["column"] == "value"
    assert (float(preset["stored"]), float(preset["fresh"])) == (0.5, 0.55)


def test_check_of_some_rows_looks_at_those_alone(finished: Any) -> None:
    path = finished.results / "timesteps.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert finished.check("timesteps", "--rows", "1-4").code == 0
    assert finished.check("timesteps").code == 1


def test_check_sees_a_record_of_another_table_or_of_other_data(finished: Any) -> None:
    beside = finished.results / "timesteps.json"
    whole = read_provenance(beside)
    other = whole["datasets"] | {"sklearn/digits test": "0" * 32}
    for changed, column in (({"table_sha256": "0" * 64}, "table_sha256"), ({"datasets": other}, "sklearn/digits test")):
        write_provenance(beside, whole | changed, table_changed=True)
        ran = finished.check("timesteps")
        assert ran.code == 1
        (found,) = differences(ran, "timesteps")
        assert (found["row"], found["column"]) == ("provenance", column)


def test_check_changes_nothing(finished: Any) -> None:
    before = finished.files()
    changed_ratio(finished)
    assert finished.check("figure4b").code == 1
    assert finished.files() == before
