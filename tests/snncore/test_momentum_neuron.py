"""The momentum neuron against a slow reference in rational arithmetic, and by hand."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import fired
from torch import Tensor

from snncore import CSSCode, MomentumNeuron
from snncore.neurons.estimates import Estimator
from snncore.neurons.momentum import GATES

quick = settings(deadline=None, derandomize=True, max_examples=70)
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Parameters:
    """All parameters of a neuron, exactly."""

    timesteps: int
    threshold: Fraction = Fraction(1)
    beta: Fraction = Fraction(2)
    precharge: int = 1
    ratio: Fraction = HALF
    ternary: bool = True
    gate: str = "first-spike"
    most: int | None = None
    least: int | None = None

    def neuron(self) -> MomentumNeuron:
        return MomentumNeuron(
            float(self.threshold),
            self.timesteps,
            float(self.beta),
            self.precharge,
            float(self.ratio),
            self.ternary,
            self.gate,  # type: ignore[arg-type]
            self.most,
            self.least,
        )


def reference(currents: list[Fraction], p: Parameters) -> tuple[list[int], Fraction]:
    """Spikes and residual over the reset of one neuron, equation by equation (TMN Eq. 6-7, App. D; CSS A19-A24).

    ``h - g`` is the potential of Eq. 6-7.
    """
    reset = p.beta**p.precharge * p.threshold
    theta = p.ratio * reset
    u = h = g = Fraction(0)
    spikes: list[int] = []
    for t in range(p.timesteps + p.precharge):
        z = currents[t] if t < p.timesteps else Fraction(0)
        u, h, g = p.beta * u + z, p.beta * h + z, p.beta * g
        if t < p.precharge:
            continue
        target = max(h, Fraction(0)) if p.gate == "tsa-relu" else h
        if p.most is not None:
            target = min(target, p.most * reset * p.beta ** (t + 1 - p.precharge - p.timesteps))
        if p.least is not None:
            target = max(target, p.least * reset * p.beta ** (t + 1 - p.precharge - p.timesteps))
        potential = target - g
        spike = 1 if potential >= theta else -1 if p.ternary and potential <= -theta else 0
        u, g = u - reset * spike, g + reset * spike
        spikes.append(spike)
    left = max(h, Fraction(0)) - g if p.gate == "tsa-relu" else u
    if p.gate == "first-spike" and next((s for s in spikes if s), 1) < 0:
        spikes = [0] * p.timesteps
    return spikes, left / reset


def tensor(trains: list[list[Fraction]], dtype: torch.dtype = torch.float64) -> Tensor:
    """``[T, N]`` from N trains."""
    return torch.tensor([[float(z) for z in train] for train in trains], dtype=dtype).T


@st.composite
def parameters(draw: st.DrawFn, betas: tuple[Fraction, ...] = (Fraction(3, 2), Fraction(2), Fraction(5, 2))) -> Parameters:
    timesteps = draw(st.integers(1, 7))
    beta = draw(st.sampled_from(betas))
    gate = draw(st.sampled_from([gate for gate in GATES if gate != "first-spike" or beta >= 2]))
    return Parameters(
        timesteps,
        threshold=draw(st.sampled_from([Fraction(1), Fraction(2), Fraction(1, 4), Fraction(3), Fraction(5, 8)])),
        beta=beta,
        precharge=draw(st.integers(0, min(timesteps, 4))),
        ratio=draw(st.sampled_from([HALF, HALF, Fraction(1), Fraction(1, 4), Fraction(3, 4)])),
        ternary=draw(st.booleans()),
        gate=gate,
        most=draw(st.sampled_from([None, None, 1, 2, 5, 11])),
        least=draw(st.sampled_from([None, None, 0, -1, -6])) if gate == "none" else None,
    )


@st.composite
def trains(draw: st.DrawFn, p: Parameters, most: int = 6) -> list[list[Fraction]]:
    """Currents in eighths and sixteenths of the threshold: many of them meet thresholds exactly."""
    each = st.one_of(
        st.integers(-24, 24).map(lambda k: k * p.threshold / 8),
        st.integers(-4, 4).map(lambda k: k * p.threshold / 2),
        st.integers(-32, 32).map(lambda k: k * p.threshold / 16),
    )
    return draw(st.lists(st.lists(each, min_size=p.timesteps, max_size=p.timesteps), min_size=1, max_size=most))


# ---- against the reference --------------------------------------------------------------------------------------------


@settings(quick, max_examples=200)
@given(st.data())
def test_spikes_and_residual_are_those_of_the_rational_reference(data: st.DataObject) -> None:
    p = data.draw(parameters())
    currents = data.draw(trains(p))
    expected = [reference(train, p) for train in currents]
    for dtype in (torch.float64, torch.float32)[: 1 + (p.beta == 2)]:  # 24 bits are enough for whole powers
        spikes, residual = fired(p.neuron(), tensor(currents, dtype))
        assert spikes.dtype == dtype
        assert spikes.T.int().tolist() == [train for train, _ in expected]
        precision = 1e-15 if dtype == torch.float64 else 1e-6
        assert residual.tolist() == pytest.approx([float(left) for _, left in expected], rel=precision, abs=precision)


@pytest.mark.parametrize("beta", [1.5, 2.0, 2.5, 3.0])
@pytest.mark.parametrize("precharge", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_potential_that_equals_the_threshold_fires(beta: float, precharge: int, dtype: torch.dtype) -> None:
    threshold = 1.0
    neuron = MomentumNeuron(threshold, 4, beta, precharge, gate="none")
    theta = threshold / 2 * beta**precharge
    current = torch.zeros(4, 4, dtype=dtype)
    tie = torch.tensor(theta, dtype=dtype)
    below = torch.nextafter(tie, torch.zeros_like(tie))
    current[precharge] = torch.stack([tie, -tie, below, -below])
    assert neuron(current)[0].tolist() == [1, -1, 0, 0]


# ---- saturation -------------------------------------------------------------------------------------------------------


def coded(neuron: MomentumNeuron, values: Tensor) -> Tensor:
    """Values in units of the last spike, sent as a constant current, as the neuron codes them."""
    steps = neuron.code.timesteps
    unit = neuron.threshold / neuron.code.total
    return neuron.code.decode(neuron((values * unit).expand(steps, -1)), neuron.code.total).round(decimals=9)


def off_the_ties(levels: int) -> Tensor:
    """Every 64th between -3 and three times the levels that is not half-way between two whole numbers."""
    x = torch.arange(-3 * 64, 3 * levels * 64, dtype=torch.float64) / 64
    return x[(x % 1) != 0.5]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("levels", range(1, 16))
def test_a_saturated_neuron_rounds_to_its_levels(levels: int, full: bool, gate: str) -> None:
    """Exactly ``clip(round(x), 0, levels)``, with the whole input known (L = T) and for constant currents with L = 1."""
    x = off_the_ties(levels)
    lowest = 0 if gate != "none" else -3
    for steps in range(max(levels.bit_length(), 2 if gate == "none" else 1), 9):
        precharge = steps if full else 1
        neuron = MomentumNeuron(2**steps - 1, steps, 2.0, precharge, gate=gate, most=levels)  # type: ignore[arg-type]
        assert torch.equal(coded(neuron, x), x.round().clamp(lowest, levels)), steps


@quick
@given(st.data())
def test_a_saturated_neuron_rounds_any_train_once_it_is_known(data: st.DataObject) -> None:
    levels = data.draw(st.integers(1, 15))
    steps = data.draw(st.integers(levels.bit_length(), 8))
    train = data.draw(st.lists(st.integers(-64, 64).map(lambda k: Fraction(k, 8)), min_size=steps, max_size=steps))
    train[-1] += Fraction(1, 64)  # off the ties
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    neuron = MomentumNeuron(3.0, steps, precharge=steps, most=levels)
    spikes = neuron(tensor([[3 * z for z in train]], dtype))[:, 0].int().tolist()
    value = sum((z * 2 ** (steps - t) for t, z in enumerate(train, 1)), Fraction(0))
    assert sum(s * 2 ** (steps - t) for t, s in enumerate(spikes, 1)) == min(max(round(value), 0), levels)


# ---- on running estimates ---------------------------------------------------------------------------------------------


@settings(quick, max_examples=200)
@given(st.data())
def test_on_estimates_it_fires_the_spikes_of_the_steps_and_stands_for_them(data: st.DataObject) -> None:
    """``E_in[L+1..T]`` is all that is read of a train, and ``E_out[L+1..T]`` is what the spikes are worth by then."""
    p = data.draw(parameters(betas=(Fraction(2),)).filter(lambda p: p.precharge < p.timesteps))
    p = replace(p, threshold=p.threshold * (2**p.timesteps - 1))  # currents and their weighted sums are exact
    currents = tensor(data.draw(trains(p)))
    neuron = p.neuron()
    weights = neuron.code.weights()[:, None] / neuron.code.total
    given = (weights * neuron.code.total * currents).cumsum(0)[p.precharge :] / neuron.code.total
    spikes = torch.empty_like(currents)
    out = Estimator(neuron)(given, spikes)
    expected = neuron(currents)
    # Whether a neuron is silenced is known at the first spike: until then estimates and trains agree anyway.
    assert torch.equal(spikes, expected)
    worth = neuron.threshold * (weights * expected).cumsum(0)[p.precharge :]
    assert torch.allclose(out, worth, rtol=0, atol=1e-12 * neuron.threshold)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("least", "most"), [(-16, 15), (-15, 16), (0, 31), (-31, 31), (-3, 20)])
def test_with_all_but_one_step_of_precharge_a_signed_neuron_rounds_and_clamps(least: int, most: int, dtype: torch.dtype) -> None:
    """A quantiser of 32 levels, as signed activations of Transformers have: five steps say more, and may not."""
    x = off_the_ties(31).to(dtype)
    x = torch.cat([x, -x])
    neuron = MomentumNeuron(31.0, 5, precharge=4, gate="none", most=most, least=least)
    noisy = torch.cat([torch.randn(4, len(x), generator=torch.Generator().manual_seed(0), dtype=dtype), x[None]])
    assert torch.equal(Estimator(neuron)(noisy[-1:])[0], x.round().clamp(least, most))
    for precharge in range(4):
        neuron = MomentumNeuron(31.0, 5, precharge=precharge, gate="none", most=most, least=least)
        out = Estimator(neuron)(noisy[precharge:])[-1]
        assert least <= out.min() and out.max() <= most


def test_estimates_that_numbers_cannot_tell_apart_and_those_that_nobody_reads() -> None:
    with pytest.raises(ValueError, match=r"T = 20 needs more digits than torch.float32 has; use at most T = 19"):
        Estimator(MomentumNeuron(1.0, 20))(torch.zeros(19, 1))
    with pytest.raises(ValueError, match=r"precharge = 3 leaves no step of T = 3 to be read; use at most T - 1"):
        Estimator(MomentumNeuron(1.0, 3, precharge=3))
    with pytest.raises(ValueError, match="least must be a whole number of at most 0, of a neuron without a gate, got"):
        MomentumNeuron(1.0, 3, least=-2)


# ---- the range of numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("make", [MomentumNeuron.tmn, MomentumNeuron.few_spikes, partial(MomentumNeuron, gate="none", precharge=3)])
def test_timesteps_that_numbers_cannot_hold_are_refused(make: Callable[..., MomentumNeuron], dtype: torch.dtype) -> None:
    exponents = {torch.float16: 11, torch.float32: 123, torch.float64: 1020}[dtype]  # of the largest number over 16
    precharge = make(1.0, 9).delay
    most = exponents // 2 if precharge == 9 else exponents - precharge
    values = torch.tensor([-8.0, 0.3, 0.5, 1.0, 8.0], dtype=dtype)
    assert all(each.isfinite().all() for each in fired(make(1.0, most), values.expand(most, -1)))
    with pytest.raises(ValueError, match=rf"T = {most + 1} at beta = 2 needs more range than torch.* has; use at most T = \d+"):
        make(1.0, most + 1)(values.expand(most + 1, -1))


# ---- Proposition 3.1: the membrane integrates with exponential weights ------------------------------------------------


@quick
@given(st.data())
def test_prop_3_1_in_python_integers(data: st.DataObject) -> None:
    """``u[T+L] = sum 2**(T+L-t) z[t] - 2**L v sum 2**(T-t) s[t]``, exactly (TMN Eq. A4-A5)."""
    timesteps = data.draw(st.integers(1, 12))
    precharge = data.draw(st.integers(0, min(4, timesteps)))
    threshold = data.draw(st.integers(1, 50)) * 2
    currents = data.draw(st.lists(st.integers(-200, 200), min_size=timesteps, max_size=timesteps))
    neuron = MomentumNeuron(threshold, timesteps, precharge=precharge, gate="none")
    state = neuron.start(torch.zeros(1, dtype=torch.float64))
    steps = [torch.tensor([z], dtype=torch.float64) for z in currents] + [None] * precharge
    spikes = []
    for z in steps:
        out, state = neuron.step(z, state)
        spikes += [] if out is None else [out]
    integrated = sum(z << (timesteps + precharge - t) for t, z in enumerate(currents, start=1))
    sent = sum(int(s) * 2 ** (timesteps - t) for t, s in enumerate(spikes, start=1)) * threshold << precharge
    assert state.potential.item() == integrated - sent


@quick
@given(st.integers(1, 10), st.sampled_from([1.5, 2.0, 2.5]), st.lists(st.floats(-1, 1), min_size=1, max_size=9))
def test_a_full_precharge_codes_any_input_to_half_a_step(timesteps: int, beta: float, values: list[float]) -> None:
    """With L = T the whole input is known before the first spike: the neuron becomes the encoder of Theorem 2."""
    neuron = MomentumNeuron(1.0, timesteps, beta, precharge=timesteps, gate="none")
    random = torch.Generator().manual_seed(timesteps)
    noise = torch.randn(timesteps, len(values), generator=random, dtype=torch.float64) * 3
    code = CSSCode(timesteps, beta)
    currents = noise - code.decode(noise) + torch.tensor(values, dtype=torch.float64)  # uneven, with the wanted mean
    error = code.decode(neuron(currents)) - torch.tensor(values, dtype=torch.float64)
    assert error.abs().max() <= 0.5 / code.total * (1 + 1e-6) + 1e-9


# ---- the gates are ReLUs ----------------------------------------------------------------------------------------------


def all_trains(timesteps: int) -> Tensor:
    """Every ternary train, ``[T, 3**T]``."""
    return torch.tensor(list(product((-1.0, 0.0, 1.0), repeat=timesteps)), dtype=torch.float64).T


@pytest.mark.parametrize("timesteps", range(1, 9))
@pytest.mark.parametrize("beta", [2.0, 2.5, 3.0])
def test_first_spike_gate_is_a_relu_on_every_ternary_train(timesteps: int, beta: float) -> None:
    """A current of ``v s[t]`` makes a neuron without pre-charge fire ``s[t]`` and leaves nothing behind."""
    s = all_trains(timesteps)
    v = 4.0
    code = CSSCode(timesteps, beta)
    ungated = MomentumNeuron(v, timesteps, beta, precharge=0, gate="none")(v * s)
    gated = MomentumNeuron(v, timesteps, beta, precharge=0, gate="first-spike")(v * s)
    assert torch.equal(ungated, s)
    assert torch.equal(gated, s * (code.decode(s) > 0))
    assert torch.equal(code.decode(gated), code.decode(s).clamp(min=0))


def test_first_spike_gate_is_not_a_relu_for_beta_below_2_and_is_refused() -> None:
    s = all_trains(3)
    first = s[0].clone()
    for step in s[1:]:
        first = torch.where(first == 0, step, first)
    wrong = (first > 0) & (CSSCode(3, 1.5).decode(s) < 0)
    assert s[:, wrong].T.tolist() == [[1, -1, -1]]  # 2.25 - 1.5 - 1 < 0
    with pytest.raises(ValueError, match=r"ReLU only for beta >= 2, got 1.5; use gate='tsa-relu'"):
        MomentumNeuron(1.0, 3, beta=1.5, gate="first-spike")


@pytest.mark.parametrize("timesteps", range(1, 9))
@pytest.mark.parametrize("beta", [1.25, 1.5, 2.0, 2.5])
def test_tsa_gate_with_full_precharge_is_a_relu_to_half_a_step(timesteps: int, beta: float) -> None:
    code, s = CSSCode(timesteps, beta), all_trains(timesteps)
    out = MomentumNeuron(1.0, timesteps, beta, precharge=timesteps, gate="tsa-relu")(s)
    error = code.decode(out) - code.decode(s).clamp(min=0)
    assert error.abs().max() <= 0.5 / code.total * (1 + 1e-9)


# ---- few spikes: exact binary expansions ------------------------------------------------------------------------------


def published(x: Fraction, alpha: Fraction, digits: int) -> list[int]:
    """The few-spikes neuron: ``v <- v - h[t] z[t]`` with ``T[t] = h[t] = alpha 2**-t``."""
    spikes, v = [], x
    for t in range(1, digits + 1):
        weight = alpha / 2**t
        spikes.append(int(v >= weight))
        v -= weight * spikes[-1]
    return spikes


@settings(quick, max_examples=25)
@given(st.integers(1, 12), st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 8)]), st.data())
def test_few_spikes_are_those_of_the_published_neuron_on_any_input_train(
    digits: int, threshold: Fraction, data: st.DataObject
) -> None:
    train = st.lists(st.integers(-16, 16).map(lambda k: k * threshold / 8), min_size=digits, max_size=digits)
    currents = data.draw(st.lists(train, min_size=1, max_size=4))
    ones = 2**digits - 1
    neuron = MomentumNeuron.few_spikes(float(threshold), digits)
    spikes = neuron(torch.tensor([[float(z) for z in each] for each in currents], dtype=torch.float64).T)
    for column, each in zip(spikes.T.int().tolist(), currents, strict=True):
        x = sum((z * 2 ** (digits - t) for t, z in enumerate(each, 1)), Fraction(0)) / ones
        assert column == published(x, threshold * Fraction(2**digits, ones), digits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("digits", range(1, 13))
def test_few_spikes_and_residual_are_those_of_the_closed_form(digits: int, dtype: torch.dtype) -> None:
    """``alpha 2**-K floor(2**K x / alpha)`` in eighths of a digit, digits themselves included, clipped to [0, v]."""
    units = torch.arange(-16, 8 * 2**digits + 17, dtype=dtype) / 8  # 2**K x / alpha
    threshold = 0.75  # = alpha (1 - 2**-K)
    train = torch.cat([torch.zeros(digits - 1, len(units), dtype=dtype), threshold * units[None]])  # the last step weighs 1
    spikes, residual = fired(MomentumNeuron.few_spikes(threshold, digits), train)
    floor = units.floor().clamp(0, 2**digits - 1)
    expected = [floor.div(2**t, rounding_mode="floor") % 2 for t in reversed(range(digits))]
    assert torch.equal(spikes, torch.stack(expected))
    assert torch.equal(residual, units - floor)


# ---- by hand ----------------------------------------------------------------------------------------------------------


def test_tmn_by_hand() -> None:
    """TMN, T = 4, L = 1, v = 15: reset 2v = 30, predictive threshold 15. A constant current of 11 is worth 11/15 v.

    step      1      2        3        4         5
    current   11     11       11       11        none
    before    11     22+11=33 6+11=17  -26+11=-15  30
    spike     charge +1       +1       -1 (tie)  +1
    after     11     3        -13      15        0          8 + 4 - 2 + 1 = 11

    A current of -5: charge -5; -15 -> -1 (tie), 15; 25 -> +1, -5; -15 -> -1, 15; 30 -> +1, 0: -8 + 4 - 2 + 1 = -5.
    Its first spike is negative: the gate keeps it silent.
    """
    currents = torch.tensor([11.0, -5.0]).expand(4, 2)
    assert MomentumNeuron.tmn(15, 4)(currents).T.tolist() == [[1, 1, -1, 1], [0, 0, 0, 0]]
    assert MomentumNeuron(15, 4, gate="none")(currents).T.tolist() == [[1, 1, -1, 1], [-1, 1, -1, 1]]


def test_tsa_by_hand() -> None:
    """TSA, beta = 1.5, T = 3, L = 1, v = 4: reset 6, threshold 3. ``o = max(h, 0) - g``.

    a constant current of 3                      currents 4, 0, -9: sent 2.25, then taken back
    step   h       g (before)  o       spike     h     g (before)  o     spike
    1      3       0           charge            4     0           charge
    2      7.5     0           7.5     +1        6     0           6     +1
    3      14.25   9           5.25    +1        0     9           -9    -1
    4      21.375  22.5        -1.125  0         0     4.5         -4.5  -1

    Decoded: 4 (2.25 + 1.5) / 4.75 = 3.158 for 3;  4 (2.25 - 1.5 - 1) / 4.75 = -0.21 for 0 (half a step is 0.42).
    """
    currents = torch.tensor([[3.0, 4.0], [3.0, 0.0], [3.0, -9.0]])
    neuron = MomentumNeuron.tsa(4, 3)
    spikes = neuron(currents)
    assert spikes.T.tolist() == [[1, 1, 0], [1, -1, -1]]
    assert neuron.code.decode(spikes, 4.0).tolist() == pytest.approx([3.1579, -0.2105], abs=1e-4)


# ---- presets and bad input --------------------------------------------------------------------------------------------


def test_presets_are_the_neurons_of_the_papers() -> None:
    tmn, tsa = MomentumNeuron.tmn(2.0, 6), MomentumNeuron.tsa(2.0, 6, precharge=2)
    assert (tmn.beta, tmn.delay, tmn.ratio, tmn.ternary, tmn.gate, tmn.reset) == (2, 1, 0.5, True, "first-spike", 4)
    assert (tsa.beta, tsa.delay, tsa.ratio, tsa.ternary, tsa.gate, tsa.reset) == (1.5, 2, 0.5, True, "tsa-relu", 4.5)
    assert "beta=1.5" in repr(tsa)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"most": most}, "most must be a whole number of at least 1") for most in (0, -1, 1.0, True, "3")),
        ({"beta": 1.0}, r"beta must be in \(1, 3\]"),
        ({"beta": 3.1}, r"beta must be in \(1, 3\]"),
        ({"precharge": -1}, "precharge must be a whole number from 0 to timesteps=4"),
        ({"precharge": 5}, "precharge must be a whole number from 0 to timesteps=4"),
        ({"precharge": 1.0}, "precharge must be a whole number"),
        ({"precharge": True}, "precharge must be a whole number"),
        ({"ratio": 0.0}, r"ratio must be in \(0, 1\]"),
        ({"ratio": 1.1}, r"ratio must be in \(0, 1\]"),
        ({"gate": "relu"}, "unknown gate 'relu'; known: first-spike, tsa-relu, none"),
    ],
)
def test_parameters_out_of_range(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MomentumNeuron(**({"threshold": 1.0, "timesteps": 4} | arguments))  # type: ignore[arg-type]
