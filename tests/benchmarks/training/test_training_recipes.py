"""Recipes: complete, checked, and every value with its source."""

import tomllib
from dataclasses import fields, replace
from importlib import resources

import pytest
import torch

from benchmarks.errors import CannotRun
from benchmarks.methods import direct_method
from benchmarks.training import Recipe, recipe, recipe_names


def test_every_recipe_is_valid() -> None:
    assert {"digits", "digit-pairs", "mnist", "cifar-resnet", "cifar-vgg", "ettfs-digits"} <= set(recipe_names())
    for name in recipe_names():
        assert recipe(name).name == name


def test_every_value_has_its_source_beside_it() -> None:
    text = resources.files("benchmarks.training").joinpath("recipes.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "=" in line.split("#")[0]]
    tables = tomllib.loads(text).values()
    assert len(lines) == sum(len(table) - ("options" in table) + len(table.get("options", {})) for table in tables)
    for table in tables:  # every recipe says all there is to say
        assert table.keys() | {"name", "options", "cutout", "processes", "wrap"} == {field.name for field in fields(Recipe)}
    for line in lines:
        assert len(line.partition("#")[2].strip()) >= 4, line


def test_embedded_recipes_are_reproducible() -> None:
    for name in ("digits", "digit-pairs", "ettfs-digits"):
        embedded = recipe(name)
        assert (embedded.precision, embedded.device) == ("float64", "cpu")
        assert embedded.significant_bits <= 16


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("ettfs-")])
def test_recipes_of_spiking_networks_hold_options_of_their_method(name: str) -> None:
    options = dict(recipe(name).options)
    timesteps = options.pop("timesteps")
    direct_method("ETTFS").build("64-20-10", (1, 8, 8), 10, timesteps, **options)


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CannotRun, match=r"'cifar'.*digits, .*digit-pairs"):
        recipe("cifar")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("device", ("tpu",)),
        ("precision", ("float16",)),
        ("optimizer", ("rmsprop", "adam")),
        ("significant_bits", (25, 1)),
        ("learning_rate", (0.0, float("inf"), float("nan"))),
        ("momentum", (1.0, 0.0)),
        *((name, (-1,)) for name in ("threads", "weight_decay", "shift", "cutout")),
        ("epochs", (0,)),
        ("batch_size", (1,)),
        ("warmup", (1.0,)),
    ],
)
def test_a_value_without_sense_is_refused(name: str, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(CannotRun, match=name):
            replace(recipe("digits"), **{name: value})


@pytest.mark.parametrize("precision", ["bfloat16-mixed", "float16-mixed"])
def test_mixed_precision_is_refused_on_a_cpu(precision: str) -> None:
    with pytest.raises(CannotRun, match=f"precision {precision} needs device cuda: on a CPU it is slower than float32"):
        replace(recipe("digits"), precision=precision)
    assert replace(recipe("cifar-resnet"), precision=precision).dtype == torch.float32
