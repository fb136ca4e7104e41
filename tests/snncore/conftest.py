"""One thread: these tests are many small ones, and several run at once."""

import torch

torch.set_num_threads(1)
