"""Data sets by name: the Hub's, or what ships inside scikit-learn."""

from __future__ import annotations

from benchmarks.data.access import Located, load, locate, open_images
from benchmarks.data.images import Images, ImageSet, normalised_batches
from benchmarks.data.registry import DATASETS, DatasetSpec, dataset_spec
