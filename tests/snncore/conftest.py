"""One thread: these tests are many small ones, and several run at once."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
