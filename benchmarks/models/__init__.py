"""Network architectures by exact definition, and the checkpoints that fit them."""

from benchmarks.models.checkpoint_files import checkpoint_hash
from benchmarks.models.registry import MODELS, ModelSpec, build_model, model_spec
from benchmarks.models.weights import find_checkpoint, load_checkpoint, read_metadata
