"""Network architectures by exact definition, and the checkpoints that fit them."""

from benchmarks.models.registry import MODELS, ModelSpec, build_model, model_spec
from benchmarks.models.weights import checkpoint_hash, find_checkpoint, load_checkpoint, read_metadata

__all__ = [
    "MODELS",
    "ModelSpec",
    "build_model",
    "checkpoint_hash",
    "find_checkpoint",
    "load_checkpoint",
    "model_spec",
    "read_metadata",
]
