"""Data sets by name: the Hub's, or what ships inside scikit-learn."""

from typing import TYPE_CHECKING

from benchmarks.data.registry import DATASETS, DatasetSpec, dataset_spec
from benchmarks.lazily import lazily

if TYPE_CHECKING:
    from benchmarks.data.access import Located, load, locate, open_images
    from benchmarks.data.images import Images, ImageSet, normalised_batches
else:
    __getattr__ = lazily(__name__, access="Located load locate open_images", images="Images ImageSet normalised_batches")
