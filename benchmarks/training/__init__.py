"""Training of the networks that have no public checkpoint."""

from benchmarks.training.batches import LabelledImages
from benchmarks.training.cache import TrainedNetwork, trained_network
from benchmarks.training.quantized import QuantizedTask, quantized_network, quantizer
from benchmarks.training.recipes import Recipe, recipe, recipe_names
from benchmarks.training.train import channel_statistics, train
