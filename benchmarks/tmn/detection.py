"""A real detector converted by TMN, beside the detection rows of Table 4, whose networks are not public."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from benchmarks.data.boxes import coco_names
from benchmarks.errors import CannotRun
from benchmarks.measurements import Arrays, Measurement
from benchmarks.measurements.detection import Detection
from benchmarks.profiles import NetworkChoice, Profile
from benchmarks.tables.artifacts import STATUS_COLUMNS, Row, Values
from benchmarks.tables.columns import loss_text, ran_on
from benchmarks.tables.markdown import number
from benchmarks.tables.precision import SURE, scores
from benchmarks.tables.schema import Column, TableSchema
from benchmarks.tables.sweeps import Fill, Setting, swept
from benchmarks.tables.views import View
from benchmarks.tmn.conversions import CONVERSION_KEYS, NETWORK_KEYS, converted_rows, section_of

filled = partial(Column, nullable=False)
precision = partial(Column, kind="float", minimum=0, maximum=100, rtol=0, atol=0.3)
points = partial(Column, kind="float", minimum=-100, maximum=100, rtol=0, atol=0.5)
part = partial(Column, kind="float", decimals=3, rtol=0, atol=0.01)
DETECTION = TableSchema(
    "detection",
    1,
    CONVERSION_KEYS,
    (
        Column("latency", "int", minimum=1, doc="steps from the first input to the complete output"),
        precision("ann_map50", doc="mean average precision of the trained network at an overlap of 50 %, %"),
        precision("snn_map50", doc="the same of the converted network"),
        points("loss", doc="ann_map50 - snn_map50, points"),
        points("loss_ci95_low", doc="95 % interval of loss (bootstrap over images)"),
        points("loss_ci95_high"),
        precision("ann_map50_95", doc="mean over overlaps of 50, 55 ... 95 %, %"),
        precision("snn_map50_95"),
        precision("agreement", atol=1.0, doc=f"of both networks' detections with a score of at least {SURE}, %"),
        Column("map_error", "float", decimals=4, minimum=0, doc="relative error of the raw maps, root mean square"),
        Column("n_test", "int", minimum=1, doc="test images"),
        Column("seeds", "text", doc="'checkpoint' for weights that were given"),
        *STATUS_COLUMNS,
    ),
    optional=("agreement",),
)
EDGES = ("left", "top", "right", "bottom")
SIDES = {"objects": "each_object", "trained": "each_ann", "converted": "each_snn"}
PICTURE = TableSchema(
    "detection_picture",
    1,
    (
        *NETWORK_KEYS,
        filled("side", "text", choices=("none", *SIDES)),
        filled("box", "int", minimum=0, doc="from 1 by falling score"),
    ),
    (
        Column("class", "text"),
        part("score", minimum=0, maximum=1),
        *(part(edge, doc="part of the picture's width or height") for edge in EDGES),
        Column("timesteps", "int", minimum=1),
        *STATUS_COLUMNS,
    ),
    optional=("score",),
)


def detection(profile: Profile) -> list[Row]:
    """Each detector of the profile in each conversion."""
    return converted_rows(profile, "detection", _measured)


def picture(profile: Profile) -> list[Row]:
    """Boxes of one test image of the first detector, by its first conversion."""
    section = section_of(profile, "detection")
    rule, precharge, t = section["conversions"][0]
    boxes, setting = partial(_pictured, rule, section["picture"] - 1), Setting({}, t, "TMN", {"precharge": precharge})
    return swept(profile, section["networks"][:1], [setting], boxes, unmeasured={"side": "none", "box": 0})


def _measured(profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None) -> tuple[Fill, Measurement]:
    return partial(_scored, choice), _run(choice, setting.key["calibration"], setting)


def _pictured(
    rule: str, image: int, profile: Profile, choice: NetworkChoice, setting: Setting, limit: int | None
) -> tuple[Fill, Measurement]:
    return partial(_boxes, choice, setting.timesteps, image), _run(choice, rule, setting)


def _run(choice: NetworkChoice, rule: str, setting: Setting) -> Measurement:
    return Detection(choice, rule, None, setting.method, tuple(setting.options.items()), setting.timesteps)


def _scored(choice: NetworkChoice, arrays: list[Arrays]) -> list[Values]:
    found = arrays[0]
    made = scores(found["each_object"], found["each_ann"], found["each_snn"])
    error = float(np.sqrt(found["squared_error"] / found["squares"]))
    known = {"latency": int(found["same_latency"]), "map_error": error, "n_test": len(found["each_object"])}
    return [known | made | ran_on(choice)]


def _boxes(choice: NetworkChoice, timesteps: int, image: int, arrays: list[Arrays]) -> list[Values]:
    if image >= (images := len(arrays[0]["each_object"])):
        raise CannotRun(f"[papers.tmn.detection] asks for picture {image + 1} of {images}; name one of these")
    lines: list[Values] = []
    for side, name in SIDES.items():
        rows = arrays[0][name][image]
        rows = rows[~np.isnan(rows[:, 0])] if side == "objects" else rows[rows[:, 4] >= SURE]
        for place, row in enumerate(rows.tolist(), start=1):
            line = {"side": side, "box": place, "class": coco_names()[int(row[-1])], "timesteps": timesteps} | ran_on(choice)
            line |= dict(zip(EDGES, row, strict=False))
            lines.append(line if side == "objects" else line | {"score": row[4]})
    return lines


shown = View(
    DETECTION,
    ("Data", "dataset"),
    ("Calibration", "calibration"),
    ("T", "timesteps"),
    ("L", "precharge_steps"),
    ("Latency", "latency"),
    ("map50: ANN → SNN", lambda row: f"{number(row['ann_map50'])} → {number(row['snn_map50'])}"),
    ("Loss [95 %]", loss_text),
    ("map50_95: ANN → SNN", lambda row: f"{number(row['ann_map50_95'])} → {number(row['snn_map50_95'])}"),
    ("Agreement, %", "agreement"),
    ("Error of the maps", "map_error"),
    ours=6,
)


def longest_path(rows: pd.DataFrame) -> int:
    """Layers of neurons in series, each of which waits for its pre-charge."""
    waits = rows[rows["precharge_steps"] > 0].iloc[0]
    return int((waits["latency"] - waits["timesteps"]) // waits["precharge_steps"])
