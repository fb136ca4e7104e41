"""Training of the networks that have no public checkpoint."""

from typing import TYPE_CHECKING

from benchmarks.lazily import lazily
from benchmarks.training.quantizer_names import parse_quantizer
from benchmarks.training.recipes import Recipe, recipe, recipe_names

if TYPE_CHECKING:
    from benchmarks.training.batches import LabelledImages
    from benchmarks.training.cache import TrainedNetwork, trained_network
    from benchmarks.training.quantized import QuantizedTask, quantized_network, quantizer
else:
    __getattr__ = lazily(
        __name__,
        batches="LabelledImages",
        cache="TrainedNetwork trained_network",
        quantized="QuantizedTask quantized_network quantizer",
    )
