"""Training recipes: the hyper-parameters of recipes.toml, checked."""

from __future__ import annotations

import tomllib
from dataclasses import field, fields
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictFloat
from pydantic.dataclasses import dataclass

from benchmarks.checked import CONFIG, Checked, Count, Natural
from benchmarks.errors import CannotRun

if TYPE_CHECKING:
    import torch

Fraction = Annotated[StrictFloat, Field(ge=0, lt=1)]
"""In [0, 1)."""


@dataclass(frozen=True, config=CONFIG)
class Recipe(Checked):
    """How a network is trained; CannotRun for a value that makes no sense.

    ``threads``: CPU threads, 0 for those of the process. ``significant_bits``: to how many bits weights, buffers
    and the optimizer's state are rounded after every epoch, at most the 24 of float32. ``momentum`` and
    ``nesterov`` are for "sgd" and must be 0 and false for "adam". The learning rate rises linearly over the
    fraction ``warmup`` of all steps and falls along a cosine to 0 over all of them. ``weight_decay`` applies to
    every parameter. ``shift``: random translation by up to so many pixels, zeros coming in (real pixels of streamed images),
    with ``wrap`` what left at the other side (``torch.roll``; of directly trained spiking networks).
    ``flip``: random left-right mirroring. ``cutout``: side of a square that is blanked at a random place of every image (DeVries
    and Taylor, 2017), 0 for none. ``options``: of the method that trains a spiking network directly, by name; with
    ``timesteps``.

    ``precision``: of weights and computation. "bfloat16-mixed" and "float16-mixed", on a GPU alone, keep weights, potentials
    and thresholds in float32 and compute convolutions and products in half precision (torch's autocast; losses are scaled in
    float16). On a GPU "float32" rounds the inputs of convolutions to TF32, as torch does.
    ``processes``: how many share each batch, on a GPU each where ``device`` is "cuda" (see ``benchmarks.training.processes``).
    """

    name: str
    device: Literal["cpu", "cuda"]
    precision: Literal["float32", "float64", "bfloat16-mixed", "float16-mixed"]
    threads: Natural
    significant_bits: Annotated[Natural, Field(ge=8, le=24)]
    epochs: Count
    batch_size: Annotated[Natural, Field(ge=2)]
    optimizer: Literal["sgd", "adam"]
    learning_rate: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]
    momentum: Fraction
    nesterov: StrictBool
    weight_decay: Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
    warmup: Fraction
    shift: Natural
    flip: StrictBool
    cutout: Natural = 0
    processes: Count = 1
    wrap: StrictBool = False
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise CannotRun("momentum and nesterov need optimizer sgd")
        if self.nesterov and not self.momentum:
            raise CannotRun("nesterov needs momentum")
        if self.precision.endswith("-mixed") and self.device != "cuda":
            raise CannotRun(f"precision {self.precision} needs device cuda: on a CPU it is slower than float32")
        if self.batch_size % self.processes:
            raise CannotRun(f"batch_size {self.batch_size} must be a multiple of processes ({self.processes})")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        import torch

        return torch.float64 if self.precision == "float64" else torch.float32


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("recipes.toml").read_text(encoding="utf-8"))


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes, in the order of recipes.toml."""
    return tuple(_table())


def recipe(name: str) -> Recipe:
    """The recipe called ``name``; CannotRun, listing the known names, where there is none."""
    if name not in _table():
        raise CannotRun(f"there is no training recipe called {name!r}; known recipes: {', '.join(_table())}")
    try:
        return Recipe(name=name, **_table()[name])
    except CannotRun as error:
        raise CannotRun(f"recipe {name}: {error}") from error


def content(of: Recipe) -> dict[str, Any]:
    """The recipe as plain values, in the order of its fields; no options where there are none."""
    return {each.name: getattr(of, each.name) for each in fields(of) if each.name != "options" or of.options}
