"""The profiles that come with the project: complete, consistent and runnable."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data import DATASETS, dataset_spec
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.measurements import lab
from benchmarks.models import MODELS, build_model, model_spec
from benchmarks.profiles import load_profile, profile_names
from benchmarks.tables.artifacts import PAPERS, artifacts_of
from benchmarks.training import QuantizedTask, TrainedNetwork, recipe, recipe_names

NAMES = ("embedded", "gpu", "paper", "workstation")


def test_these_profiles_come_with_the_project() -> None:
    assert tuple(profile_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_a_profile_is_known(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name and profile.title and profile.digest
    assert set(profile.papers) <= set(PAPERS)
    for choice in profile.networks:
        assert choice.dataset in DATASETS and choice.architecture in MODELS
        assert choice.recipe is None or choice.recipe in recipe_names()
        assert choice.weights or choice.recipe, "neither weights nor a recipe"


@pytest.mark.parametrize("name", NAMES)
def test_every_artifact_has_rows(name: str) -> None:
    profile = load_profile(name)
    untrained = {("gpu", "ettfs"), ("gpu", "ternary_spike"), ("paper", "ternary_spike")}  # no recipe for these yet
    for paper in [paper for paper in PAPERS if (name, paper) not in untrained]:
        for artifact in artifacts_of(paper).values():
            assert artifact.rows(profile), artifact.name


def test_the_embedded_profile_downloads_nothing_and_stands_in_for_everything() -> None:
    profile = load_profile("embedded")
    assert all(dataset_spec(choice.dataset).embedded and choice.stand_in and not choice.weights for choice in profile.networks)
    assert all(recipe(choice.recipe or "").device == "cpu" for choice in profile.networks)


def test_the_paper_profile_runs_what_the_papers_name() -> None:
    for choice in load_profile("paper").networks:
        assert dataset_spec(choice.dataset).paper_name == choice.paper_dataset
        assert model_spec(choice.architecture).paper_name == choice.paper_architecture
        assert not choice.stand_in


def test_on_a_workstation_data_are_the_papers_but_for_imagenet_and_only_resnet_20_stands_for_others() -> None:
    for choice in load_profile("workstation").networks:
        on = choice.paper_dataset
        if on == "ImageNet":
            on = "ImageNet (1,000 training images)" if choice.images else "CIFAR-100"
        assert dataset_spec(choice.dataset).paper_name == on
        assert choice.stand_in == (choice.paper_architecture not in ("ResNet-20", "FastestDet", "ViT"))


@pytest.mark.parametrize(("paper", "lost"), [("tmn", {25, 26, 27, 28}), ("css", {11, 12, 13, 14, 15, 16, 18})])
def test_imagenet_rows_of_full_precision_run_on_imagenet_unless_their_trains_are_too_long(paper: str, lost: set[int]) -> None:
    rows = [row for row in artifacts_of(paper)["table2"].rows(load_profile("workstation")) if row.key["dataset"] == "ImageNet"]
    ran = {row.number: row.measurements[0] for row in rows}
    on_sample = {number for number, measurement in ran.items() if measurement.network.dataset == "imagenet-sample-1000"}
    assert on_sample == {row.number for row in rows if row.key.get("no_quant", "yes") == "yes"} - lost
    assert {ran[number].test_images for number in on_sample} == ({200} if paper == "css" else {800})
    assert all(ran[number].network.dataset == "uoft-cs/cifar100" for number in set(ran) - on_sample)


def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises(NotAvailable, match="profile workstation names no network for SVHN LeNet"):
        load_profile("workstation").network("SVHN", "LeNet")


def test_a_copy_of_a_profile_must_be_renamed_once_it_is_changed(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "benchmarks" / "profiles" / "embedded.toml"
    text = shipped.read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    assert load_profile(str(own)).digest == load_profile("embedded").digest
    own.write_text(text.replace("batch = 100", "batch = 50"), encoding="utf-8")
    with pytest.raises(CannotRun, match="the name 'embedded' is that of a profile of the project; choose another"):
        load_profile(str(own))
    own.write_text(text.replace("batch = 100", "batch = 50").replace('name = "embedded"', 'name = "own"'), encoding="utf-8")
    assert load_profile(str(own)).batch == 50


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "benchmarks" / "profiles" / "embedded.toml"
    own = tmp_path / "own.toml"
    own.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load_profile(str(own)) == load_profile("embedded")


def test_a_link_that_points_nowhere_is_no_profile(tmp_path: Path) -> None:
    (tmp_path / "own.toml").symlink_to("gone.toml")
    with pytest.raises(CannotRun, match=r"own\.toml is a link that points nowhere \(to gone\.toml\)"):
        load_profile(str(tmp_path / "own.toml"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[[networks", b""])
def test_files_that_are_no_profile(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.toml").write_bytes(content)
    with pytest.raises(CannotRun, match=r"own\.toml"):
        load_profile(str(tmp_path / "own.toml"))


def test_a_network_may_be_for_some_methods_and_their_images_only(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "benchmarks" / "profiles" / "embedded.toml"
    entry = '[[networks]]\npaper_dataset = "CIFAR-10"\npaper_architecture = "ResNet-20"\ndataset = "sklearn/digit-pairs"\n'
    entry += 'architecture = "resnet20-thin"\nrecipe = "digit-pairs"\nimages = { TMN = 30 }\n\n'
    text = shipped.read_text(encoding="utf-8").replace('name = "embedded"', 'name = "own"')
    own = tmp_path / "own.toml"
    first, last = "\n[[networks]]\n", "\n[papers.tmn.table2]\n"
    for before in (first, last):  # the order of entries is of no account
        written = text.replace(before, f"\n{entry}{before[1:]}", 1)
        assert written != text
        own.write_text(written, encoding="utf-8")
        rows = {row.number: row for row in artifacts_of("tmn")["table2"].rows(load_profile(str(own)))}
        used = {number: (row.measurements[0].network.dataset, row.measurements[0].test_images) for number, row in rows.items()}
        assert used[7] == ("sklearn/digit-pairs", 30)  # TMN on ResNet-20
        assert used[1][0] == "sklearn/digits"  # OPI on ResNet-20
    for images, why in (('"all"', "images must be a table"), ("{ TMN = 0 }", "greater than or equal to 1"), ("{ X = 1 }", "not available yet: X")):
        own.write_text(written.replace("{ TMN = 30 }", images), encoding="utf-8")
        with pytest.raises(CannotRun, match=why):
            load_profile(str(own))
    own.write_text(written.replace(last, f"\n{entry}{last[1:]}", 1), encoding="utf-8")
    with pytest.raises(CannotRun, match="it names two networks for CIFAR-10 ResNet-20 by method; keep one"):
        load_profile(str(own))


QUANTIZED = 'fine_tuning = "digits-quantized"\nquantizers = { default = "qcfs-4", TMN = "uniform-3" }\n'


@pytest.fixture
def with_entries(tmp_path: Path) -> Callable[[str], str]:
    """Writes a copy of the embedded profile whose networks of the digits have further entries; gives its path."""
    shipped = Path(__file__).parents[3] / "benchmarks" / "profiles" / "embedded.toml"

    def write(entries: str) -> str:
        text = shipped.read_text(encoding="utf-8").replace('name = "embedded"', 'name = "own"')
        kept = [line for line in text.splitlines() if not line.startswith(("fine_tuning", "quantizers"))]
        own = tmp_path / "own.toml"
        own.write_text("\n".join(kept).replace('recipe = "digits"\n', f'recipe = "digits"\n{entries}'), encoding="utf-8")
        return str(own)

    return write


def test_each_method_has_its_quantised_network(with_entries: Callable[[str], str]) -> None:
    choice = load_profile(with_entries(QUANTIZED)).network("CIFAR-10", "ResNet-18")
    assert choice.levels is None and choice.quantizer is None
    assert (choice.quantized_for("QCFS").quantizer, choice.quantized_for("QCFS").levels) == ("qcfs-4", 4)
    assert (choice.quantized_for("TMN").quantizer, choice.quantized_for("TMN").levels) == ("uniform-3", 7)
    base = choice.quantized_for("TMN").full_precision
    assert (base.dataset, base.architecture, base.recipe, base.levels) == ("sklearn/digits", "resnet18-thin", "digits", None)


def test_without_a_quantiser_there_is_no_quantised_network(with_entries: Callable[[str], str]) -> None:
    only = 'fine_tuning = "digits-quantized"\nquantizers = { TMN = "uniform-3" }\n'
    for entries in ("", only):
        choice = load_profile(with_entries(entries)).network("CIFAR-10", "ResNet-18")
        with pytest.raises(NotAvailable, match="names no quantised ResNet-18 on CIFAR-10 for QCFS"):
            choice.quantized_for("QCFS")


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ('fine_tuning = "digits-quantized"\n', "must have both quantizers and fine_tuning, or neither"),
        ('quantizers = { TMN = "uniform-3" }\n', "must have both quantizers and fine_tuning, or neither"),
        (QUANTIZED.replace("uniform-3", "ternary"), "there is no quantiser called 'ternary'"),
        (QUANTIZED.replace('"uniform-3"', "3"), "quantizers.1.1 must be a valid string, got 3"),
        (QUANTIZED.replace("digits-quantized", "nothing"), "there is no training recipe called 'nothing'"),
        ('quantizers = "qcfs-4"\n', "quantizers must be a table, got 'qcfs-4'"),
        ('quantizer = "qcfs-4"\n', "unknown entry 'quantizer'"),
    ],
)
def test_bad_entries_of_quantised_networks(with_entries: Callable[[str], str], entries: str, why: str) -> None:
    with pytest.raises(CannotRun, match=why):
        load_profile(with_entries(entries))


def test_rows_on_quantised_networks_resolve_or_say_why(with_entries: Callable[[str], str]) -> None:
    profile = load_profile(with_entries(QUANTIZED))
    rows = {row.number: row for row in artifacts_of("tmn")["table2"].rows(profile)}
    quantizers = {number: row.measurements[0].network.quantizer for number, row in rows.items() if row.measurements}
    assert {number: quantizers.get(number) for number in (10, 11, 12, 13, 14)} == {
        10: "qcfs-4",
        11: "qcfs-4",
        12: "qcfs-4",
        13: "qcfs-4",
        14: "uniform-3",
    }
    assert quantizers[7] is quantizers[9] is None  # full precision
    assert "names no quantised VGG-16 on CIFAR-100 for TMN" in rows[24].reason
    narrow = load_profile(with_entries(QUANTIZED.replace("uniform-3", "uniform-4")))
    refused = {row.number: row.reason for row in artifacts_of("tmn")["table2"].rows(narrow)}
    assert "with T = 3, TMN can represent 7 non-zero levels, but the network has 15; use T = 4 or more" in refused[14]


def test_a_quantised_network_starts_from_the_trained_one(
    with_entries: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = build_model("resnet18-thin", 10, 1).eval(), []

    def quantized(base: Any, images: Any, task: QuantizedTask, progress: Any) -> TrainedNetwork:
        asked.append(task)
        assert base is model and len(images.labels) > 1000
        return TrainedNetwork(base, Path("quantized"), "2" * 64)

    monkeypatch.setattr(lab, "trained_network", lambda *_: TrainedNetwork(model, Path("trained"), "1" * 64))
    monkeypatch.setattr(lab, "quantized_network", quantized)
    monkeypatch.setattr(lab, "read_metadata", lambda _: {"mean": "[0.5]", "std": "[0.25]"})
    profile = load_profile(with_entries(QUANTIZED))
    made = lab.Lab(profile).trained(profile.network("CIFAR-10", "ResNet-18").quantized_for("TMN"))
    assert asked == [QuantizedTask("resnet18-thin", "1" * 64, (0.5,), (0.25,), "uniform-3", "digits-quantized", 0)]
    assert made.digest == "2" * 64 and made.checkpoint == "digits, seed 0, uniform-3, digits-quantized, seed 0"
