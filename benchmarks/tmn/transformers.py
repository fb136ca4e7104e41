"""Real vision Transformers converted by TMN, beside the rows of Table 4, whose weights are not public."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.measurements import Arrays, Measurement
from benchmarks.measurements.answers import Answers
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.artifacts import CORRECT, STATUS_COLUMNS, Row, Values
from benchmarks.tables.columns import ACCURACY_COLUMNS, STEP_COLUMNS, loss_text, ran_on
from benchmarks.tables.markdown import number
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.sweeps import Fill, Setting, row_of
from benchmarks.tables.views import View
from benchmarks.tmn.conversions import CONVERSION_KEYS, NETWORK_KEYS, converted_rows, section_of

ANSWERS = (
    STEP_COLUMNS[2],
    *ACCURACY_COLUMNS[1:],
    Column("agreement", "float", minimum=0, maximum=100, rtol=0, atol=0.2, doc="images that both networks answer alike, %"),
    Column("logit_error", "float", decimals=4, minimum=0, doc="relative error of the logits, root mean square"),
    *STATUS_COLUMNS,
)
TRANSFORMERS = TableSchema("transformers", 1, CONVERSION_KEYS, ANSWERS)
METHOD = Column("method", "text", nullable=False)
QUANTIZED = TableSchema("quantized_transformers", 1, (*NETWORK_KEYS, METHOD, *CONVERSION_KEYS[3:]), ANSWERS)


def transformers(profile: Profile) -> list[Row]:
    """Each Transformer of the profile in each conversion."""
    return converted_rows(profile, "transformers", _measured)


def quantized_transformers(profile: Profile) -> list[Row]:
    """Each quantised Transformer of the profile in each conversion; accuracy, agreement and errors against the quantised one."""
    section, rows = section_of(profile, "quantized_transformers"), list[Row]()
    for dataset, architecture in section["networks"]:
        for name, precharge, t in section["conversions"]:
            key = {"dataset": dataset, "architecture": architecture, "method": name, "precharge_steps": precharge, "timesteps": t}
            setting = Setting(key, t, name, {"precharge": precharge} if name == "TMN" else {})
            network = partial(_quantized, profile, key)
            limit = section.get("images", {}).get(name)
            rows.append(row_of(profile, len(rows) + 1, key, setting, _measured, limit, network=network))
    return rows


def _quantized(profile: Profile, key: Values) -> NetworkChoice:
    return profile.network(key["dataset"], key["architecture"]).quantized_for(key["method"])


def _measured(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    options = tuple(setting.options.items())
    return partial(_answers, choice), Answers(
        choice, setting.key.get("calibration", profile.calibration), limit, setting.method, options, setting.timesteps
    )


def _answers(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    found = arrays[0]
    known = {"latency": int(found["same_latency"]), "agreement": 100 * float(found["each_same"].mean())}
    known |= {"logit_error": float(np.sqrt(found["squared_error"] / found["squares"]))}
    return [known | {CORRECT: (found["each_ann"], found["each_snn"])} | ran_on(choice)]


def _view(schema: TableSchema, *named: tuple[str, str]) -> View:
    return View(
        schema,
        *named,
        ("T", "timesteps"),
        ("L", "precharge_steps"),
        ("Latency", "latency"),
        ("ANN → SNN, %", lambda row: f"{number(row['ann_metric'])} → {number(row['snn_metric'])}"),
        ("Loss [95 %]", loss_text),
        ("Agreement, %", "agreement"),
        ("Error of the logits", "logit_error"),
        ours=5,
    )


shown = _view(TRANSFORMERS, ("Calibration", "calibration"))
quantized_shown = _view(QUANTIZED, ("Method", "method"), ("Images", "n_test"))
