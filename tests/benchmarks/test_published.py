"""Published tables: read as printed, and in agreement with what the papers say about them in prose."""

import csv
import re
from decimal import Decimal
from importlib.resources import files

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.errors import CannotRun
from benchmarks.published import published_papers, published_tables, read_published

PICOJOULE_PER_MAC, PICOJOULE_PER_AC = Decimal("4.6"), Decimal("0.9")
UNIT = {"M": Decimal(10) ** 6, "G": Decimal(10) ** 9}
FIRST_LAYER_OF_VGG16 = {"CIFAR-10": 28 * 64 * 32**2, "ImageNet": 28 * 64 * 224**2}


def raw(table: str, paper: str = "tmn") -> list[dict[str, str]]:
    """The rows of one file as strings, so that printed digits can be seen."""
    text = (files("benchmarks") / paper / "published" / f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), strict=True))


def count(printed: str) -> Decimal:
    """``258.35M`` as a number; an empty cell counts nothing."""
    return Decimal(printed[:-1]) * UNIT[printed[-1]] if printed else Decimal(0)


def loss(row: dict[str, str]) -> Decimal:
    return Decimal(row["ann_metric_paper"]) - Decimal(row["snn_metric_paper"])


def one(rows: list[dict[str, str]], **cells: str) -> dict[str, str]:
    (found,) = [row for row in rows if all(row[name] == cell for name, cell in cells.items())]
    return found


# --- reading -------------------------------------------------------------------------------------


def test_columns_come_in_the_order_of_the_file() -> None:
    assert list(read_published("tmn", "table3")) == [
        "row", "dataset", "method", "coding", "timesteps", "accuracy_paper", "acs_paper", "macs_paper",
        "energy_mj_paper", "negative_spikes", "provenance",
    ]  # fmt: skip


def test_types_are_counts_decimals_and_text() -> None:
    table = read_published("tmn", "table3")
    assert table["row"].dtype == table["timesteps"].dtype == pd.Int64Dtype()
    assert table["accuracy_paper"].dtype == table["energy_mj_paper"].dtype == "float64"
    for name in ("dataset", "method", "coding", "acs_paper", "macs_paper", "negative_spikes", "provenance"):
        assert pd.api.types.is_string_dtype(table[name])
        assert all(isinstance(cell, str) for cell in table[name])


def test_empty_cells_are_missing_numbers_and_empty_text() -> None:
    ann = read_published("tmn", "table3").iloc[0]
    assert ann["timesteps"] is pd.NA
    assert ann["coding"] == ann["acs_paper"] == ""
    assert ann["macs_paper"] == "313.60M"
    assert read_published("tmn", "table2").loc[6, "reference"] == ""


def test_numbers_are_exactly_those_of_the_file() -> None:
    table = read_published("tmn", "table2")
    assert table["snn_metric_paper"].tolist() == [float(row["snn_metric_paper"]) for row in raw("table2")]
    assert table["timesteps"].tolist() == [int(row["timesteps"]) for row in raw("table2")]


def test_a_word_that_looks_like_a_missing_value_stays_text() -> None:
    assert set(read_published("tmn", "figures")["values_printed"]) == {"none"}


def test_two_reads_do_not_share_state() -> None:
    first = read_published("tmn", "table2")
    first.loc[0, "method"] = "changed"
    assert read_published("tmn", "table2").loc[0, "method"] == "OPI"


def test_an_unknown_paper_lists_the_papers() -> None:
    with pytest.raises(CannotRun, match=r"'tnm'.*\btmn\b"):
        read_published("tnm", "table2")


def test_an_unknown_table_lists_the_tables() -> None:
    with pytest.raises(CannotRun, match=r"'table9'.*claims, figures, table2, table3, table4"):
        read_published("tmn", "table9")


@given(paper=st.text(), table=st.text())
def test_no_other_name_reads_anything(paper: str, table: str) -> None:
    for wrong in ((paper, "table2"), ("tmn", table)):
        if wrong[0] in published_papers() and wrong[1] in published_tables(wrong[0]):
            continue
        with pytest.raises(CannotRun) as caught:
            read_published(*wrong)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["../tmn/published/table2", "table2.csv", "", "."])
def test_a_path_is_not_a_table(name: str) -> None:
    with pytest.raises(CannotRun):
        read_published("tmn", name)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("paper", "table"), [(p, t) for p in published_papers() for t in published_tables(p)])
def test_files_are_plain_rectangular_utf8(paper: str, table: str) -> None:
    content = (files("benchmarks") / paper / "published" / f"{table}.csv").read_bytes()
    assert b"\r" not in content
    assert content.endswith(b"\n") and not content.endswith(b"\n\n")
    lines = list(csv.reader(content.decode("utf-8").splitlines(), strict=True))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert all(cell == cell.strip() for line in lines for cell in line)


@pytest.mark.parametrize("table", ["table2", "table3", "table4"])
def test_metrics_are_printed_with_two_decimals_and_are_percentages(table: str) -> None:
    names = [name for name in raw(table)[0] if name.endswith("metric_paper") or name == "accuracy_paper"]
    assert names
    for row in raw(table):
        for name in names:
            assert re.fullmatch(r"\d\d\.\d\d", row[name]), row
            assert 60 < float(row[name]) < 100


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("table2", "dataset", {"CIFAR-10": 14, "CIFAR-100": 10, "ImageNet": 11}),
        ("table2", "architecture", {"VGG-16": 20, "ResNet-18": 6, "ResNet-20": 6, "ResNet-34": 3}),
        ("table2", "coding", {"rate": 16, "CSS": 10, "TTFS": 4, "TSC": 4, "FS": 1}),
        ("table2", "no_quant", {"yes": 22, "no": 13}),
        ("table2", "no_cal", {"yes": 28, "no": 7}),
        ("table2", "provenance", {"quoted": 25, "own": 10}),
        ("table3", "dataset", {"CIFAR-10": 4, "ImageNet": 4}),
        ("table3", "provenance", {"own": 4, "own-rerun": 4}),
        ("table4", "dataset", {"VOC2007": 4, "ImageNet": 2, "SST-2": 2, "IMDB-MR": 2}),
        ("table4", "metric", {"mAP": 4, "accuracy": 6}),
        ("table4", "provenance", {"own": 5, "ambiguous": 5}),
        ("claims", "kind", {"analytic": 2, "qualitative": 8, "quantitative": 13}),
    ],
)
def test_how_often_each_word_stands_in_a_column(table: str, column: str, words: dict[str, int]) -> None:
    assert read_published("tmn", table)[column].value_counts().to_dict() == words


def test_timesteps_are_within_what_was_printed() -> None:
    assert read_published("tmn", "table2")["timesteps"].between(2, 4096).all()
    assert read_published("tmn", "table3")["timesteps"].dropna().between(3, 8).all()
    assert read_published("tmn", "table4")["timesteps"].between(3, 64).all()


@pytest.mark.parametrize("table", ["table2", "table3"])
def test_negative_spikes_follow_appendix_a2(table: str) -> None:
    for row in raw(table):
        assert (row["negative_spikes"] == "yes") == (row["method"] in {"QFFS", "Fast-SNN", "TMN"}), row


@pytest.mark.parametrize("table", ["table2", "table3", "table4"])
def test_tmn_and_only_tmn_uses_css_coding(table: str) -> None:
    for row in raw(table):
        assert (row["method"] == "TMN") == (row["coding"] == "CSS"), row


def test_each_method_has_one_citation_and_one_code() -> None:
    for _, rows in read_published("tmn", "table2").groupby("method"):
        assert rows[["reference", "coding"]].nunique().tolist() == [1, 1]
        assert (rows["reference"] == "").all() == (rows["method"] == "TMN").all()


def test_fine_tuned_methods_are_the_three_marked_ones() -> None:
    tuned = {row["method"] for row in raw("table2") if row["no_cal"] == "no"}
    assert tuned == {"SNN Calibration", "TTFS Mapping", "Fast-SNN"}


# --- what the prose of the TMN paper says --------------------------------------------------------


def test_fs_conversion_loses_more_with_more_steps() -> None:
    rows = [row for row in raw("table2") if (row["dataset"], row["architecture"]) == ("CIFAR-10", "ResNet-20")]
    fs, tmn = one(rows, method="FS-Conversion"), one(rows, method="TMN")
    assert loss(fs) > loss(tmn) and int(fs["timesteps"]) > int(tmn["timesteps"])


@pytest.mark.parametrize("dataset", ["CIFAR-10", "CIFAR-100", "ImageNet"])
def test_quantised_tmn_needs_the_fewest_steps(dataset: str) -> None:
    rows = [row for row in raw("table2") if (row["dataset"], row["no_quant"]) == (dataset, "no")]
    tmn = one(rows, method="TMN")
    assert all(int(row["timesteps"]) > int(tmn["timesteps"]) for row in rows if row is not tmn)


def test_yolo_gains_177_points() -> None:
    rows = [row for row in raw("table4") if row["architecture"] == "YOLOv2 (ResNet-34-3b)"]
    tmn, fast = (Decimal(one(rows, method=method)["snn_metric_paper"]) for method in ("TMN", "Fast-SNN"))
    assert tmn - fast == Decimal("1.77")
    assert round((tmn - fast) / fast * 100, 1) == Decimal("2.4")


def test_table4_pairs_share_their_ann_and_css_needs_fewer_steps() -> None:
    table = read_published("tmn", "table4")
    for _, pair in table.groupby(["dataset", "architecture"]):
        baseline, tmn = pair.iloc[0], pair.iloc[1]
        assert (baseline["method"] == "TMN", tmn["method"]) == (False, "TMN")
        assert baseline["ann_metric_paper"] == tmn["ann_metric_paper"]
        assert tmn["timesteps"] < baseline["timesteps"]
        assert tmn["snn_metric_paper"] >= baseline["snn_metric_paper"]


# --- Table 3 against itself ----------------------------------------------------------------------


def test_energies_follow_from_the_counts_but_for_two_rows() -> None:
    disagree = {}
    for row in raw("table3"):
        printed = Decimal(row["energy_mj_paper"])
        picojoule = PICOJOULE_PER_MAC * count(row["macs_paper"]) + PICOJOULE_PER_AC * count(row["acs_paper"])
        computed = (picojoule / 10**9).quantize(printed)
        if computed != printed:
            disagree[row["row"], row["dataset"], row["method"]] = computed
    assert disagree == {("2", "CIFAR-10", "COS"): Decimal("0.2832"), ("7", "ImageNet", "Fast-SNN"): Decimal("20.66")}


def test_macs_of_spiking_rows_are_the_first_layer_of_vgg16_once_per_step() -> None:
    spiking = [row for row in raw("table3") if row["timesteps"]]
    assert len(spiking) == 6
    for row in spiking:
        macs = Decimal(int(row["timesteps"]) * FIRST_LAYER_OF_VGG16[row["dataset"]]) / 10**6
        assert f"{macs:.2f}M" == row["macs_paper"]


# --- claims against the tables -------------------------------------------------------------------


def test_printed_losses_of_claims_are_those_of_the_rows_they_name() -> None:
    checked, claims = 0, raw("claims")
    assert [claim["id"] for claim in claims] == [f"T{n:02}" for n in range(1, 24) if n != 18] + ["X01"]
    for claim in claims:
        if claim["metric"] != "conversion loss in pp":
            continue
        place = re.search(r"Table (\d) rows? (\d+)(?: and (\d+))?", claim["where"])
        assert place, claim
        printed = re.findall(r"(-?\d\.\d\d) \((\d\d\.\d\d) to (\d\d\.\d\d)\)", claim["printed"])
        for number, values in zip([n for n in place.groups()[1:] if n], printed, strict=False):
            row = one(raw(f"table{place[1]}"), row=number, method=_method_of(claim["id"], number))
            assert values == (str(loss(row)), row["ann_metric_paper"], row["snn_metric_paper"]), claim
            assert row["timesteps"] in re.findall(r"T = (\d+)", claim["statement"]), claim
            checked += 1
    assert checked == 13


def _method_of(claim: str, row: str) -> str:
    return "SNN Calibration" if (claim, row) == ("T15", "26") else "TMN"


def test_printed_energy_ratios_of_claim_t17_are_those_of_table3() -> None:
    printed = re.findall(r"0\.\d{3}", one(raw("claims"), id="T17")["printed"])
    ratios = []
    for dataset in ("CIFAR-10", "ImageNet"):
        rows = [row for row in raw("table3") if row["dataset"] == dataset]
        tmn, *others = (one(rows, method=m) for m in ("TMN", "COS", "Fast-SNN"))
        assert all(Decimal(tmn["accuracy_paper"]) > Decimal(other["accuracy_paper"]) for other in others)
        ratios += [f"{Decimal(tmn['energy_mj_paper']) / Decimal(other['energy_mj_paper']):.3f}" for other in others]
    assert printed == ratios


def test_printed_counts_of_claim_t19_are_those_of_table3() -> None:
    row = one(raw("table3"), row="4", method="TMN")
    assert one(raw("claims"), id="T19")["printed"] == f"{row['acs_paper']}; {row['macs_paper']}"
