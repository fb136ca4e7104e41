"""The command line: whatever is wrong ends in one line and exit code 2, and nothing that was finished is lost."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import files
from benchmarks.harness import cli
from benchmarks.measurements import ConversionLoss, lab
from benchmarks.models import build_model, registry
from benchmarks.models.checkpoint_files import write_checkpoint

COMMANDS = ("list", "data", "run", "check", "report", "speed")


# ---- help, lists and JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(bench: Any, command: str) -> None:
    ran = bench.call(command, "--help")
    assert ran.code == 0
    assert "Examples:" in ran.out and f"snnbench {command}" in ran.out


def test_without_a_command_the_help_is_shown(bench: Any) -> None:
    ran = bench.call()
    assert ran.code in (0, 2)
    assert all(command in ran.out + ran.err for command in COMMANDS)
    assert "Traceback" not in ran.err


def test_list_as_json(bench: Any) -> None:
    listed = json.loads(bench.call("list", "--json").out)
    assert list(listed) == ["papers", "artifacts", "profiles", "methods", "calibrations", "networks", "datasets"]
    assert {"TMN", "rate", "OPI"} <= set(listed["methods"])
    assert list(json.loads(bench.call("list", "profiles", "--json").out)["profiles"]) == ["embedded", "gpu", "paper", "workstation"]
    assert "TMN" in bench.call("list", "methods").out


def test_data_as_json(bench: Any) -> None:
    ran = bench.call("data", "--profile", "tiny.toml", "--offline", "--json")
    assert ran.code == 0
    needs = {need["need"]: need for need in json.loads(ran.out)["tiny.toml"]}
    assert needs["sklearn/digits test"]["found"] and needs["weights tiny"]["found"]
    assert needs["weights tiny"]["where"].endswith("tiny.safetensors")
    embedded = bench.call("data", "--profile", "embedded", "--fingerprint", "--json")
    assert all(len(need["fingerprint"]) == 32 for need in json.loads(embedded.out)["embedded"])


def test_data_says_how_to_get_what_is_missing(bench: Any) -> None:
    needs = json.loads(bench.call("data", "--profile", "paper", "--offline", "--json").out)["paper"]
    missing = [need for need in needs if not need["found"]]
    assert missing and all(need["how_to_get"] for need in missing)
    torchvision = [need for need in needs if "torchvision:" in need["need"]]
    assert torchvision and all("SNNBENCH_WEIGHTS" not in need["how_to_get"] for need in torchvision)


def test_report_as_json_names_the_files_it_wrote(finished: Any) -> None:
    ran = finished.call("report", "tmn", "--profile", "tiny.toml", "--json")
    assert ran.code == 0
    written = [finished.folder / name for name in json.loads(ran.out)]
    assert (finished.folder / "reports/tiny/tmn.md") in written and all(path.exists() for path in written)
    before = {path: path.read_bytes() for path in written}
    assert finished.call("report", "tmn", "--profile", "tiny.toml", "--json").code == 0
    assert {path: path.read_bytes() for path in written} == before


def test_speed_as_json(bench: Any) -> None:
    command = ("speed", "--network", "resnet20-thin", "-T", "2", "--batch", "1", "--size", "8", "--repeats", "1", "--json")
    measured = json.loads(bench.call(*command).out)
    times = {row["network"]: row for row in measured["times"]}
    assert times["trained network"]["ratio"] == 1
    counted, plain = times["TMN, multi-step, counted"], times["TMN, multi-step"]
    assert measured["counting"] == pytest.approx(counted["ms"] / plain["ms"] - 1)
    assert all(row["ms"] > 0 and row["ratio_per_timestep"] == pytest.approx(row["ratio"] / 2) for row in times.values())


def test_run_prints_tables_and_where_the_report_is(finished: Any) -> None:
    ran = finished.call("run", "tmn", "figure1d", "--profile", "tiny.toml", "--jobs", "1")
    assert ran.code == 0
    title = next(line for line in ran.out.splitlines() if line.startswith("Figure 1(d)"))
    assert title.endswith("lines, unchanged in results/tiny/tmn/figure1d.csv") and "reports/tiny/tmn.md" in ran.out
    assert (finished.folder / "reports/tiny/tmn.md").exists()


def test_a_fault_of_ours_is_neither_a_difference_nor_a_refusal(bench: Any) -> None:
    def faulty(*arguments: Any, **named: Any) -> None:
        raise ZeroDivisionError("of ours")

    bench.patch.setattr(cli, "app", faulty)
    ran = bench.call("list")
    assert ran.code == 3
    assert "ZeroDivisionError: of ours" in ran.err and "a fault in snnbench" in ran.err.splitlines()[-1]


# ---- unknown names and malformed options ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rpeort", "css"), "No such command 'rpeort'. Did you mean 'report'?"),
        (("run", "cns"), "unknown paper 'cns'; known: css, ettfs, ternary_spike, tmn"),
        (("report", "cns"), "unknown paper 'cns'"),
        (("check", "cns"), "unknown paper 'cns'"),
        (("run", "tmn", "table9"), "unknown artifact 'table9' of tmn; known: table2"),
        (("run", "tmn", "--profile", "huge"), "unknown profile 'huge'; known: embedded, gpu, paper, workstation"),
        (("run", "tmn", "--profile", "absent.toml"), "absent.toml cannot be read"),
        (("data", "--profile", "huge"), "unknown profile 'huge'"),
        (("run", "tmn", "--device", "tpu"), "unknown device 'tpu'; known: cpu, cuda"),
        (("list", "things"), "nothing of kind 'things'"),
        (("run", "tmn", "figure1d", "--rows", "x"), "--rows 'x' is not a list of row numbers"),
        (("run", "tmn", "figure1d", "--rows", "1;2"), "--rows '1;2' is not a list of row numbers"),
        (("run", "tmn", "figure1d", "--rows", "-3"), "is not a list of row numbers"),
        (("run", "tmn", "figure1d", "--rows", "5-3"), "names no row"),
        (("run", "tmn", "figure1d", "--rows", "1-99999999999"), "goes beyond row"),
        (("run", "tmn", "figure1d", "--rows", "0"), "figure1d has no row 0; rows are numbered 1 to 40"),
        (("run", "tmn", "figure1d", "--rows", "41"), "figure1d has no row 41; rows are numbered 1 to 40"),
        (("run", "tmn", "--rows", "1"), "--rows selects rows of one artifact"),
        (("check", "tmn", "--rows", "1"), "--rows selects rows of one artifact"),
        (("run", "tmn", "--weights", "tiny"), "--weights 'tiny' is not of the form NAME=FILE"),
        (("run", "tmn", "--weights", "=x.pt"), "is not of the form NAME=FILE"),
        (("run", "tmn", "--weights", "other=x.pt"), "names 'other', which profile embedded does not use; it uses: none"),
        (("run", "tmn", "--backend", "ray"), "unknown backend 'ray'; known: loky"),
        (("run", "tmn", "--jobs", "many"), "--jobs"),
        (("run", "tmn", "--jobs", "-1"), "--jobs"),
        (("run", "tmn", "--no-such-option"), "--no-such-option"),
        (("run",), "argument"),
        (("walk",), "walk"),
        (("speed", "--network", "resnet21"), "there is no network called 'resnet21'"),
        (("speed", "-T", "0"), "--timesteps"),
        (("speed", "--network", "vgg16-max", "--size", "8", "--batch", "1"), "vgg16-max cannot be timed on 8x8 images"),
    ],
)
def test_names_and_options_that_make_no_sense(bench: Any, arguments: tuple[str, ...], said: str) -> None:
    assert said in bench.call(*arguments).refusal
    assert not bench.cache.exists() and not (bench.folder / "results").exists()


def test_dask_without_a_client_is_refused(bench: Any) -> None:
    command = ("run", "tmn", "figure4b", "--profile", "tiny.toml", "--backend", "dask", "--jobs", "2", "--no-report", "--json")
    assert "backend 'dask' cannot be used" in bench.call(*command).refusal


# ---- profiles ---------------------------------------------------------------------------------------------------------

FIGURE4B = '[papers.tmn.figure4b]\nnetwork = ["CIFAR-10", "ResNet-20"]\ntimesteps = [2]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "tiny"', 'name = "tiny', "is not valid TOML"),
        ('name = "tiny"', "", "lacks the entry 'name'"),
        ('name = "tiny"', 'name = "../tiny"', "'../tiny' cannot name a folder"),
        ('name = "tiny"', "name = 3", "name must be a valid string, got 3"),
        ('name = "tiny"', 'name = "embedded"', "'embedded' is that of a profile of the project"),
        ('name = "tiny"', 'name = "tiny"\ncolour = 1', "has the unknown entry 'colour'"),
        ('"percentile-99.99"', '"median"', "unknown calibration 'median'; known: percentile-99.9"),
        ('"percentile-99.99"', "99.99", "calibration must be a valid string, got 99.99"),
        ("batch = 20", "batch = 0", "batch must be greater than or equal to 1, got 0"),
        ("batch = 20", 'batch = "20"', "batch must be a valid integer, got '20'"),
        ("shard = 20", 'shard = 20\nprecision = "float16"', "precision must be 'float32' or 'float64', got 'float16'"),
        ("shard = 20", "shard = 2.5", "shard must be a valid integer, got 2.5"),
        ("calibration_images = 40", "calibration_images = true", "calibration_images must be a valid integer, got True"),
        ('dataset = "sklearn/digits"', 'dataset = "sklearn/letters"', "no data set is called 'sklearn/letters'"),
        ('architecture = "resnet20-thin"', 'architecture = "resnet9"', "there is no network called 'resnet9'"),
        ('weights = "tiny"', "weights = 3", "[[networks]]: weights must be a valid string, got 3"),
        ('weights = "tiny"', 'recipe = "magic"', "there is no training recipe called 'magic'"),
        ('weights = "tiny"', 'seed = "a"', "[[networks]]: seed must be a valid integer, got 'a'"),
        ('weights = "tiny"', "colour = 3", "[[networks]]: has the unknown entry 'colour'"),
        ('dataset = "sklearn/digits"\n', "\n", "[[networks]]: lacks the entry 'dataset'"),
        ('"CIFAR-100" = "too large for a test"', '"CIFAR-100" = 3', "missing.CIFAR-100 must be a valid string, got 3"),
        ("[papers.tmn.figure4b]", "[papers.tnm.figure4b]", "unknown paper 'tnm'; known: css, ettfs, ternary_spike, tmn"),
        ("[papers.tmn.figure4b]", "[papers.tmn.figure5]", "has the unknown entry 'figure5'; known: table2, table3, energy, timesteps"),
        (FIGURE4B, FIGURE4B.replace("[2]", "[0]"), "timesteps must be a list of different whole numbers of at least 1, got [0]"),
        (FIGURE4B, FIGURE4B.replace("[2]", "[1.5]"), "timesteps must be a list of different whole numbers"),
        (FIGURE4B, FIGURE4B.replace("[2]", '["a"]'), "timesteps must be a list of different whole numbers"),
        (FIGURE4B, FIGURE4B.replace("[2]", "[2, 2]"), "timesteps must be a list of different whole numbers"),
        (FIGURE4B, FIGURE4B.replace("[2]", "4"), "timesteps must be a list of different whole numbers"),
        (FIGURE4B, FIGURE4B.replace("timesteps", "steps"), "has the unknown entry 'steps'; known: network, test_images, timesteps"),
        (FIGURE4B, FIGURE4B.replace("timesteps = [2]", ""), "lacks the entry 'timesteps'"),
        (FIGURE4B, FIGURE4B.replace("timesteps = [2]", "timesteps = [2]\ntest_images = 0"), "test_images must be a whole number"),
        (FIGURE4B, FIGURE4B.replace('["CIFAR-10", "ResNet-20"]', '"CIFAR-10"'), "network must be a dataset and an architecture"),
        (FIGURE4B, "", "lacks network in [papers.tmn.figure4b]"),
        (FIGURE4B, "[papers.tmn]\nfigure4b = 3", "[papers.tmn.figure4b] must be a table, got 3"),
        ("TMN = [2, 3]", "TMN = [0]", "those of TMN a list of different whole numbers of at least 1"),
        ("TMN = [2, 3]", "NTM = [2]", "unknown method 'NTM'; known: TMN, ST-BIF, TSA, rate, "),
        ("TMN = [2, 3], rate = [2, 4] }", "TMN = [2, 3] }\nimages = { TMN = 0 }", "images must be a table of method = test images"),
        ("TMN = [2, 3], rate = [2, 4] }", "TMN = [2, 3] }\nimages = { NTM = 9 }", "unknown method 'NTM'"),
        ("TMN = [2, 3]", '"no.such.module:Own" = [2]', "method 'no.such.module:Own' cannot be imported"),
        ("TMN = [2, 3]", '"json:JSONDecoder" = [2]', "is not a benchmarks.methods.Method"),
        ("TMN = [2, 3]", '":Own" = [2]', "unknown method ':Own'"),
        ("methods = { TMN = [2, 3], rate = [2, 4] }", "methods = [2]", "methods must be a table of method = timesteps"),
        ('rules = ["maximum"]', 'rules = ["median"]', "unknown calibration 'median'"),
        ('rules = ["maximum"]', 'rules = "maximum"', "rules must be a list of different calibrations"),
        ('rules = ["maximum"]', 'rules = ["percentile-99.99"]', "repeats the profile's own"),
        ("ratios = [0.40, 0.50]", "ratios = [0.40, 1.50]", "ratios must be a list of different numbers above 0, up to 1"),
        ("ratios = [0.40, 0.50]", "ratios = [0.0]", "ratios must be a list"),
        ("ratios = [0.40, 0.50]", "ratios = [0.401]", "with two decimals"),
        ("precharge = [0, 1]", "precharge = [-1]", "precharge must be a list of different whole numbers of at least 0"),
    ],
)
def test_a_profile_with_a_mistake_is_refused_before_anything_runs(bench: Any, old: str, new: str, said: str) -> None:
    profile = bench.write_profile((old, new))
    assert said in bench.run("timesteps", "figure4a", "figure4b", "figure4c", profile=profile).refusal
    assert not (bench.cache / "measurements").exists()


def test_a_mistake_elsewhere_in_the_section_of_a_paper_is_not_taken_for_a_row_that_cannot_run(bench: Any) -> None:
    profile = bench.write_profile(("TMN = [2, 3]", "NTM = [2]"))
    assert "unknown method 'NTM'" in bench.run("table2", profile=profile).refusal


def test_a_paper_for_which_a_profile_has_no_network(bench: Any) -> None:
    command = ("run", "ettfs", "--profile", "tiny.toml", "--jobs", "1", "--no-report", "--json")
    refusal = bench.call(*command).refusal
    assert "profile tiny has nothing to measure for paper ettfs (" in refusal and "use another, e.g. embedded" in refusal
    assert bench.call(*command, "analytic").code == 0


def test_rows_of_a_profile_without_the_section(bench: Any) -> None:
    text = (bench.folder / "tiny.toml").read_text(encoding="utf-8")
    start, end = text.index("[papers.tmn.timesteps]"), text.index("[papers.tmn.figure4a]")
    (bench.folder / "short.toml").write_text(text[:start] + text[end:], encoding="utf-8")
    refusal = bench.run("timesteps", "--rows", "1", profile="short.toml").refusal
    assert "timesteps has no row 1; it has no rows in this profile" in refusal


# ---- data -------------------------------------------------------------------------------------------------------------

MNIST = "ylecun/mnist"


def test_missing_data_and_a_mirror_that_is_no_folder(bench: Any) -> None:
    mirror, profile = bench.folder / "mirror", bench.write_profile(('"sklearn/digits"', f'"{MNIST}"'))
    bench.patch.setenv("SNNBENCH_DATA", str(mirror))
    assert "is not a folder" in bench.run("figure4b", profile=profile).refusal
    mirror.mkdir()
    refusal = bench.run("figure4b", "--offline", profile=profile).refusal
    assert f"{MNIST}, " in refusal and "was not found" in refusal and "set SNNBENCH_DATA" in refusal


# ---- weights ----------------------------------------------------------------------------------------------------------


def with_metadata(**metadata: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        write_checkpoint(path, build_model("resnet20-thin", 10, 1).state_dict(), metadata)
        return path

    return write


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path, "does not exist"),
        (with_metadata(), "lack mean and std"),
        (with_metadata(mean="0.5", std="[0.25]"), "lack mean and std"),
        (with_metadata(mean="[0.5, 0.5, 0.5]", std="[0.25, 0.25, 0.25]"), "1 channel(s), but mean has 3"),
        (with_metadata(mean="[0.5]", std="[0.0]"), "every std must be positive"),
    ],
)
def test_weights_that_cannot_be_used(finished: Any, write: Callable[[Path], Path], said: str) -> None:
    before = finished.files()
    path = write(finished.folder / "own.safetensors")
    refusal = finished.run("figure4b", "--weights", f"tiny={path}").refusal
    assert said in refusal and (path.name in refusal or "sklearn/digits" in refusal)
    assert finished.files() == before


def test_weights_behind_a_link_to_another_name(finished: Any, weights_folder: Path) -> None:
    shutil.copy(weights_folder / "tiny.safetensors", finished.folder / "blob")
    (finished.folder / "own.safetensors").symlink_to("blob")
    assert finished.run("figure4b", "--weights", f"tiny={finished.folder / 'own.safetensors'}").code == 0


def test_a_network_without_weights_and_recipe_is_not_run(bench: Any) -> None:
    bench.patch.delenv("SNNBENCH_WEIGHTS")
    ran = bench.run("table2")
    assert ran.code == 0
    row = json.loads(ran.out)[0]["rows"][6]
    assert row["status"].startswith("not run: ") and "--weights tiny=FILE" in row["status"]
    assert "none of the rows 7 could be run" in bench.run("table2", "--rows", "7").refusal


class Sine(nn.Module):
    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(channels * 64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.layer(torch.flatten(x, 1)))


class Overflowing(Sine):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.layer(torch.flatten(x, 1) * 1e30) * 1e30)
        return x


def own_network(bench: Any, kind: type[Sine]) -> str:
    """A profile whose ResNet-20 is another module; its checkpoint is there."""
    spec = registry.ModelSpec("sine", "ResNet-20", "of a test", kind)
    bench.patch.setattr(registry, "MODELS", dict(registry.MODELS) | {"sine": spec})
    (bench.folder / "weights").mkdir()
    torch.manual_seed(0)
    write_checkpoint(bench.folder / "weights" / "tiny.safetensors", kind(10, 1).state_dict(), {"mean": "[0.5]", "std": "[0.25]"})
    bench.patch.setenv("SNNBENCH_WEIGHTS", str(bench.folder / "weights"))
    path: str = bench.write_profile(('"resnet20-thin"', '"sine"'))
    return path


@pytest.mark.parametrize(("kind", "said"), [(Sine, "sin"), (Overflowing, "NaN or infinity")])
def test_a_network_that_cannot_be_converted_is_not_run_and_says_why(bench: Any, kind: type[Sine], said: str) -> None:
    profile = own_network(bench, kind)
    ran = bench.run("table2", "figure1d", profile=profile)
    assert ran.code == 0
    table2, figure1d = json.loads(ran.out)
    assert table2["rows"][6]["status"].startswith("not run: sine: ") and said in table2["rows"][6]["status"]
    assert table2["rows"][7]["status"] == "not run: too large for a test"
    assert {row["status"] for row in figure1d["rows"]} == {"measured"}
    assert said in bench.run("table2", "--rows", "7", profile=profile).refusal


# ---- folders and files ------------------------------------------------------------------------------------------------


def test_results_that_cannot_be_written_are_noticed_first(finished: Any) -> None:
    before = finished.files()
    measured: list[int] = []
    finished.patch.setattr(ConversionLoss, "run", lambda *_: measured.append(1))
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))

    def fail(*_: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "replace", fail)
        refusal = finished.run("timesteps").refusal
    assert "make the folder writable or choose another one" in refusal and "results" in refusal
    assert measured == [] and finished.files() == before


def test_a_results_folder_that_is_a_file(bench: Any) -> None:
    (bench.folder / "results").write_text("", encoding="utf-8")
    assert "cannot be written" in bench.run("figure1d").refusal


def test_a_disk_that_fills_up_loses_nothing_that_is_finished(finished: Any) -> None:
    reference = finished.files()
    finished.patch.setenv("SNNBENCH_CACHE", str(finished.folder / "empty"))
    replace, written = os.replace, []

    def full(source: Any, target: Any) -> None:
        if len(written) >= 3:  # the probe and two measurements
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        refusal = finished.run("figure4b").refusal
    assert "No space left on device" in refusal and "free some disk space" in refusal
    assert finished.files() == reference
    assert len(list((finished.folder / "empty").glob("measurements/*/*.npz"))) == 2
    assert finished.run("figure4b").code == 0
    assert finished.files() == reference


def test_a_full_disk_elsewhere_is_one_line_too(bench: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench.patch.setattr(lab.Lab, "trained", full)
    assert "No space left on device" in bench.run("figure4b").refusal


@pytest.mark.parametrize("command", ["check", "report", "run"])
def test_a_table_edited_into_nonsense(finished: Any, command: str) -> None:
    path = finished.results / "timesteps.csv"
    content = path.read_text(encoding="utf-8").replace(",3,", ",three,", 1)
    path.write_text(content, encoding="utf-8")
    arguments = {
        "check": ("check", "tmn", "timesteps", "--profile", "tiny.toml", "--jobs", "1", "--json"),
        "report": ("report", "tmn", "--profile", "tiny.toml"),
        "run": ("run", "tmn", "timesteps", "--rows", "1", "--profile", "tiny.toml", "--jobs", "1", "--no-report", "--json"),
    }[command]
    refusal = finished.call(*arguments).refusal
    assert "timesteps.csv: line 3, column 'timesteps'" in refusal and "snnbench run" in refusal
    assert path.read_text(encoding="utf-8") == content


def test_damaged_correctness(finished: Any) -> None:
    (finished.results / "timesteps.npz").write_bytes(b"nonsense")
    assert "timesteps.npz: is damaged" in finished.check("timesteps").refusal


def test_check_and_report_without_results(bench: Any) -> None:
    assert "there is no such table; write it with `snnbench run`" in bench.check("figure1d").refusal
    assert "snnbench run" in bench.call("report", "tmn", "--profile", "tiny.toml").refusal


def test_a_damaged_cache_entry_is_measured_anew(finished: Any) -> None:
    reference = finished.files()
    for path in finished.cache.glob("measurements/*/*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    assert finished.run("figure4b").code == 0
    assert finished.files() == reference


def test_the_error_line_does_not_break_however_long(bench: Any) -> None:
    name = "x" * 300
    assert name in bench.call("run", name).refusal
