from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncore.coding import Code, CSSCode, RateCode, check_timesteps, latency_spikes

quick = settings(deadline=None, derandomize=True, max_examples=60)


def exact_value(train: list[int], beta: Fraction) -> Fraction:
    """Weighted mean of a train, in rational arithmetic."""
    weights = [beta ** (len(train) - 1 - t) for t in range(len(train))]
    return sum((w * s for w, s in zip(weights, train, strict=True)), Fraction(0)) / sum(weights)


def step_length(code: Code) -> float:
    return 1 / code.total


def test_weights_are_powers_of_beta_with_the_first_spike_heaviest() -> None:
    assert CSSCode(4).weights().tolist() == [8, 4, 2, 1]
    assert CSSCode(3, 1.5).weights().tolist() == [2.25, 1.5, 1]
    assert RateCode(3).weights().tolist() == [1, 1, 1]
    assert CSSCode(4).total == 15
    assert RateCode(7).total == 7


@quick
@given(st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0]), st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_decode_is_the_weighted_mean(beta: float, train: list[int]) -> None:
    decoded = Code(len(train), beta).decode(torch.tensor(train, dtype=torch.float64), amplitude=3.0)
    assert decoded.item() == pytest.approx(float(3 * exact_value(train, Fraction(beta))), abs=1e-14)


def test_decode_takes_an_amplitude_per_channel() -> None:
    spikes = torch.ones(2, 5, 3)  # [T, B, C]
    assert CSSCode(2).decode(spikes, torch.tensor([1.0, 2.0, 4.0])).tolist() == [[1.0, 2.0, 4.0]] * 5


@quick
@given(st.sampled_from([1.0, 1.5, 2.0]), st.lists(st.integers(-1, 1), min_size=1, max_size=8))
def test_every_prefix_decodes_as_a_code_of_its_own_length(beta: float, train: list[int]) -> None:
    spikes = torch.tensor(train, dtype=torch.float64)[:, None]
    prefixes = Code(len(train), beta).decode_prefixes(spikes, 2.0)
    for t in range(len(train)):
        assert torch.allclose(prefixes[t], Code(t + 1, beta).decode(spikes[: t + 1], 2.0), rtol=1e-14, atol=0)


@quick
@given(st.integers(1, 12), st.floats(1.05, 3.0), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_css_error_is_at_most_half_a_step(steps: int, beta: float, values: list[float]) -> None:
    code = CSSCode(steps, beta)
    x = torch.tensor(values, dtype=torch.float64)
    spikes = code.encode(x)
    assert set(spikes.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert (code.decode(spikes) - x).abs().max() <= step_length(code) / 2 * (1 + 1e-9)


@pytest.mark.parametrize("beta", [1.5, 2.0, 2.3])
@pytest.mark.parametrize("steps", [4, 8, 12])
def test_css_error_reaches_half_a_step(beta: float, steps: int) -> None:
    code = CSSCode(steps, beta)
    x = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    worst = (code.decode(code.encode(x)) - x).abs().max().item() / step_length(code)
    assert worst == pytest.approx(0.5, abs=0.01)


def binary_encoder_error(steps: int, beta: float) -> float:
    """Worst error, in steps, of the encoder of Theorem 2: binary spikes at the full threshold."""
    weights = CSSCode(steps, beta).weights()
    remainder = torch.linspace(0, float(weights.sum()), 200_001, dtype=torch.float64)
    for weight in weights:
        remainder = remainder - weight * (remainder >= weight)
    return remainder.abs().max().item()


@pytest.mark.parametrize("steps", [4, 8, 12])
def test_theorem_2_binary_encoder_needs_beta_up_to_2_and_ternary_does_not(steps: int) -> None:
    assert binary_encoder_error(steps, 1.5) == pytest.approx(1.0, abs=0.02)
    assert binary_encoder_error(steps, 2.0) == pytest.approx(1.0, abs=0.02)
    assert binary_encoder_error(steps, 2.3) == pytest.approx({4: 3.6, 8: 79, 12: 2199}[steps], rel=0.02)


def test_css_ties_fire_and_clip() -> None:
    #        value  remainder of 3 = 2 + 1   train
    #        1/3    1 -> +1 (tie 1 >= 1) -> -1 -> -1 (tie)
    #        -1/3   mirrored
    #        2      clipped to 3
    spikes = CSSCode(2).encode(torch.tensor([1 / 3, -1 / 3, 0.0, 2.0, -9.0], dtype=torch.float64))
    assert spikes.T.tolist() == [[1, -1], [-1, 1], [0, 0], [1, 1], [-1, -1]]


@pytest.mark.parametrize("code", [CSSCode(4), RateCode(4)])
def test_codes_keep_shape_and_dtype_and_leave_their_input(code: CSSCode | RateCode) -> None:
    x = torch.rand(3, 4)
    before, spikes = x.clone(), code.encode(x)
    assert (spikes.dtype, spikes.shape) == (torch.float32, (4, 3, 4))
    assert (code.decode(spikes).dtype, code.decode(spikes).shape) == (torch.float32, (3, 4))
    assert torch.equal(x, before)


@quick
@given(st.integers(1, 40), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_rate_error_is_at_most_half_a_step_and_spikes_are_even(steps: int, values: list[float]) -> None:
    code = RateCode(steps)
    x = torch.tensor(values, dtype=torch.float64)
    spikes = code.encode(x)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    assert (code.decode(spikes) - x).abs().max() <= 0.5 / steps + 1e-12
    count = spikes.sum(0)
    for t in range(1, steps + 1):  # no burst and no gap: after t steps, t/T of all spikes have come, up to one
        assert ((spikes[:t].sum(0) - count * t / steps).abs() < 1 + 1e-9).all()


def test_rate_clips() -> None:
    assert RateCode(3).encode(torch.tensor([-0.5, 1.5])).sum(0).tolist() == [0, 3]


@quick
@given(st.integers(1, 12), st.lists(st.integers(-40, 300), min_size=1, max_size=9), st.sampled_from([torch.float32, torch.float64]))
def test_the_larger_the_value_the_earlier_its_one_spike(timesteps: int, levels: list[int], dtype: torch.dtype) -> None:
    values = [Fraction(k, 256) for k in levels]
    spikes = latency_spikes(torch.tensor([float(x) for x in values], dtype=dtype), timesteps)
    assert spikes.dtype == dtype and spikes.shape == (timesteps, len(values))
    for x, train in zip(values, spikes.T.tolist(), strict=True):
        step = min(int((1 - min(x, Fraction(1))) * timesteps), timesteps - 1)
        assert train == [float(x > 0 and t == step) for t in range(timesteps)]


def test_latency_by_hand() -> None:
    x = torch.tensor([[1.0, 0.75], [0.5, 0.25], [0.01, 0.0]])
    spikes = latency_spikes(x, 4)
    assert spikes.argmax(0).tolist() == [[0, 1], [2, 3], [3, 0]]
    assert spikes.sum(0).tolist() == [[1, 1], [1, 1], [1, 0]]
    with pytest.raises(ValueError, match="timesteps must be a whole number"):
        latency_spikes(x, 0)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "4", None])
def test_timesteps_must_be_a_positive_whole_number(steps: object) -> None:
    for refused in (check_timesteps, CSSCode, RateCode):
        with pytest.raises(ValueError, match="timesteps must be a whole number of at least 1"):
            refused(steps)  # type: ignore[arg-type, operator]


def test_absurdly_many_timesteps_are_refused_before_they_exhaust_the_memory() -> None:
    for refused in (check_timesteps, CSSCode, RateCode, lambda steps: latency_spikes(torch.ones(2), steps)):
        with pytest.raises(ValueError, match=f"timesteps must be at most {2**20}, got 1000000000"):
            refused(10**9)  # type: ignore[operator]
    assert check_timesteps(2**20) == 2**20


def test_nan_has_no_latency() -> None:
    with pytest.raises(ValueError, match="the values contain NaN"):
        latency_spikes(torch.tensor([0.5, float("nan")]), 4)


@pytest.mark.parametrize("beta", [0.9, 0.0, -2.0, float("nan")])
def test_beta_must_be_at_least_1(beta: float) -> None:
    with pytest.raises(ValueError, match="beta must be at least 1"):
        CSSCode(4, beta)


def test_decode_refuses_another_number_of_timesteps() -> None:
    with pytest.raises(ValueError, match=r"expected 4 timesteps first, got a tensor of shape \(3, 2\)"):
        CSSCode(4).decode(torch.ones(3, 2))
