"""``snnbench speed``: what a converted network costs beside the trained one, measured side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from torch import Tensor

from benchmarks.errors import CannotRun
from benchmarks.harness.commands.common import AsJson, console, interleaved, print_json
from benchmarks.models import build_model, model_spec
from snncore import SpikingNetwork, convert, opi, rate, tmn, tsa
from snncore.conversion import ConversionError, OperationCounter, calibrate


def speed_command(
    network: Annotated[str, typer.Option("--network", help="Network, see: snnbench list networks.")] = "resnet20",
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", min=1, help="T.")] = 8,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images per batch.")] = 32,
    size: Annotated[int, typer.Option("--size", min=8, help="Height and width of the images.")] = 32,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Interleaved repetitions; the median is printed.")] = 7,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Time converted networks beside the trained network, channels-last, on the same batch of random images.

    The ratio is to T times the trained network's own forward pass. Weights are random, which does not change the work. CPU time
    is measured, of all threads together, so that other work on the machine disturbs little. "Counted" runs count operations
    beside (spikes, accumulates and multiply-accumulates by layer and step).

    Examples: snnbench speed | snnbench speed --network resnet18 -T 4
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    ann = build_model(model_spec(network).name, 10).eval().to(memory_format=torch.channels_last)
    candidates: dict[str, Callable[[Tensor], Any]] = {"trained network": ann}
    with torch.no_grad():
        try:
            calibration = calibrate(ann, [images])
            for method in (tmn(), tsa(), rate(), opi()):
                candidates[f"{method.name}, multi-step"] = convert(ann, calibration, method, timesteps)
            candidates["TMN, multi-step, counted"] = _counted(convert(ann, calibration, tmn(), timesteps))
            candidates["TMN, single-step"] = convert(ann, calibration, tmn(), timesteps, mode="single-step")
        except ConversionError as error:
            raise CannotRun(f"{network} cannot be timed on {size}x{size} images: {error}") from error
        times = interleaved({name: partial(run, images) for name, run in candidates.items()}, repeats)
    base, overhead = times["trained network"], times["TMN, multi-step, counted"] / times["TMN, multi-step"] - 1
    rows: list[dict[str, Any]] = [
        {"network": name, "ms": seconds * 1e3, "ratio": seconds / base, "ratio_per_timestep": seconds / base / timesteps}
        for name, seconds in times.items()
    ]
    if as_json:
        setting = {"network": network, "timesteps": timesteps, "batch": batch, "threads": threads}
        print_json(setting | {"times": rows, "counting": overhead})
        return
    table = Table("network", "CPU ms per batch", "x trained", "x T x trained")
    table.title = f"{network}, T={timesteps}, {batch} images, {threads} thread(s)"
    for row in rows:
        per_step = "" if row["network"] == "trained network" else f"{row['ratio_per_timestep']:.2f}"
        table.add_row(row["network"], f"{row['ms']:.1f}", f"{row['ratio']:.2f}", per_step)
    console.print(table)
    console.print(f"counting adds {100 * overhead:.1f} % to the run time of TMN, multi-step")


def _counted(network: SpikingNetwork) -> Callable[[Tensor], Any]:
    counter = OperationCounter(network)

    def run(images: Tensor) -> Any:
        with counter:
            return network(images)

    return run
