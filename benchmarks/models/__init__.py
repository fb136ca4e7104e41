"""Network architectures by exact definition, and the checkpoints that fit them."""

from typing import TYPE_CHECKING

from benchmarks.lazily import lazily
from benchmarks.models.registry import MODELS, ModelSpec, build_model, model_spec

if TYPE_CHECKING:
    from benchmarks.models.checkpoint_files import checkpoint_hash
    from benchmarks.models.weights import find_checkpoint, load_checkpoint, read_metadata
else:
    __getattr__ = lazily(__name__, checkpoint_files="checkpoint_hash", weights="find_checkpoint load_checkpoint read_metadata")
