"""Training of the networks that have no public checkpoint."""

from benchmarks.training.cache import TrainedNetwork, trained_network
from benchmarks.training.labelled import LabelledImages
from benchmarks.training.recipes import Recipe, recipe, recipe_names
from benchmarks.training.train import channel_statistics, train

__all__ = [
    "LabelledImages",
    "Recipe",
    "TrainedNetwork",
    "channel_statistics",
    "recipe",
    "recipe_names",
    "train",
    "trained_network",
]
