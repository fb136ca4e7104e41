"""Encoders of images as spike trains: how often a value is on, and when."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncore.conversion import SpreadEncoder, SwitchEncoder

values = st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=5)


@given(values, st.integers(2, 40))
@settings(max_examples=25, deadline=None)
def test_both_are_on_for_a_time_proportional_to_the_value_and_with_its_sign(given_values: list[float], timesteps: int) -> None:
    x = torch.tensor(given_values, dtype=torch.float64)
    expected = x.sign() * torch.floor(timesteps * x.abs() / 2 + 0.5).clamp(max=timesteps)
    for kind in (SwitchEncoder, SpreadEncoder):
        encoder = kind(2.0, timesteps)
        train = torch.stack([encoder.at(x, step) for step in range(timesteps)])
        assert torch.equal(train.sum(0), expected)
        assert set(train.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_one_begins_with_the_window_and_the_other_spreads() -> None:
    x = torch.tensor([1.0])
    first, spread = (torch.stack([kind(2.0, 8).at(x, step) for step in range(8)]).flatten() for kind in (SwitchEncoder, SpreadEncoder))
    assert first.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert spread.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
