"""One thread: these tests are many small ones, and several run at once."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))  # for small_networks, which several files share
torch.set_num_threads(1)
