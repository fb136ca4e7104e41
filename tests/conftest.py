"""What holds for all tests."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "snncore"))  # for small_networks and synapse_loops, which several files share

settings.register_profile("snnbench", deadline=None)  # a busy machine is slow, which is no failure
settings.load_profile("snnbench")
