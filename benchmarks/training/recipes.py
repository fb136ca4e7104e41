"""Training recipes: the hyper-parameters of recipes.toml, checked."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from typing import Any, Literal

import torch

from benchmarks.errors import CannotRun


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; CannotRun for a value that makes no sense.

    ``threads``: CPU threads, 0 for those of the process. ``significant_bits``: to how many bits weights, buffers
    and the optimizer's state are rounded after every epoch, at most the 24 of float32. ``momentum`` and
    ``nesterov`` are for "sgd" and must be 0 and false for "adam". The learning rate rises linearly over the
    fraction ``warmup`` of all steps and falls along a cosine to 0 over all of them. ``weight_decay`` applies to
    every parameter. ``shift``: random translation by up to so many pixels, zeros coming in (real pixels of streamed images).
    ``flip``: random left-right mirroring. ``cutout``: side of a square that is blanked at a random place of every image (DeVries
    and Taylor, 2017), 0 for none. ``options``: of the method that trains a spiking network directly, by name; with
    ``timesteps``.

    ``precision``: of weights and computation. "bfloat16-mixed" keeps weights in float32 and computes convolutions and
    products in bfloat16 (torch's autocast). On a GPU "float32" rounds the inputs of convolutions to TF32, as torch does.
    """

    name: str
    device: Literal["cpu", "cuda"]
    precision: Literal["float32", "float64", "bfloat16-mixed"]
    threads: int
    significant_bits: int
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam"]
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    warmup: float
    shift: int
    flip: bool
    cutout: int = 0
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        sgd = self.optimizer == "sgd"
        checks = {
            "device must be cpu or cuda": self.device in ("cpu", "cuda"),
            "precision must be float32, float64 or bfloat16-mixed": self.precision in ("float32", "float64", "bfloat16-mixed"),
            "threads must be 0 or more": self.threads >= 0,
            "significant_bits must be 8 to 24": 8 <= self.significant_bits <= 24,
            "epochs must be 1 or more": self.epochs >= 1,
            "batch_size must be 2 or more": self.batch_size >= 2,
            "optimizer must be sgd or adam": self.optimizer in ("sgd", "adam"),
            "learning_rate must be positive and finite": 0 < self.learning_rate < math.inf,
            "momentum must be in [0, 1)": 0 <= self.momentum < 1,
            "momentum and nesterov need optimizer sgd": sgd or (self.momentum == 0 and not self.nesterov),
            "nesterov needs momentum": self.momentum > 0 or not self.nesterov,
            "weight_decay must be 0 or more and finite": 0 <= self.weight_decay < math.inf,
            "warmup must be in [0, 1)": 0 <= self.warmup < 1,
            "shift must be 0 or more": self.shift >= 0,
            "cutout must be 0 or more": self.cutout >= 0,
        }
        for rule, holds in checks.items():
            if not holds:
                raise CannotRun(f"recipe {self.name}: {rule}")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
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
    return Recipe(name=name, **_table()[name])


def content(of: Recipe) -> dict[str, Any]:
    """The recipe as plain values, in the order of its fields; no options where there are none."""
    return {each.name: getattr(of, each.name) for each in fields(of) if each.name != "options" or of.options}
