"""Convert the networks of ``networks.csv`` and write the page: ``python -m benchmarks.conversions [NETWORK ...]``."""

from __future__ import annotations

import csv
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from jinja2 import Environment, FileSystemLoader
from rich.console import Console
from torch import Tensor, nn

from snncore import ConversionError, calibrate, convert, tmn
from snncore.conversion import Calibration, Maximum
from snncore.conversion.estimates import MASKS
from snncore.conversion.operations import Synapses
from snncore.conversion.rewriting import RULES
from snncore.conversion.rules.functions import FUNCTIONS
from snncore.conversion.rules.products import PRODUCTS

HERE = Path(__file__).parent
REPORTS = HERE.parent.parent / "reports"
STEPS, MORE, BAR = 12, 24, 5e-2
COLUMNS = ("library", "network", "side", "neurons", "layers", "on_currents", "error", "error_more", "refused")


def build(library: str, name: str) -> nn.Module:
    """A network with random weights, also where its library begins with a classifier of zeros, which shows no error."""
    torch.manual_seed(0)
    made: nn.Module
    if library == "timm":
        import timm

        made = timm.create_model(name, pretrained=False, exportable=False)
    else:
        import torchvision

        given = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        made = torchvision.models.get_model(name, weights=None, **given)
    for layer in made.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():
            layer.reset_parameters()
    return made


@torch.no_grad()
def settle(network: nn.Module, images: Tensor) -> nn.Module:
    """Running statistics of batch normalisation that fit the images, as training leaves them."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    network.eval()
    for norm in norms:
        norm.train()
    if norms:
        network(images)
    return network.eval()


def error(network: nn.Module, calibration: Calibration, images: Tensor, timesteps: int) -> float:
    """Relative error of the conversion with the longest pre-charge and the largest activations as thresholds."""
    precharge = timesteps if calibration.placement is None else timesteps - 1
    spiking = convert(network, calibration, tmn(precharge=precharge, threshold=Maximum()), timesteps)
    with torch.no_grad():
        expected = network(images)
    return float((spiking(images) - expected).norm() / expected.norm())


def measure(library: str, network: str, side: str) -> dict[str, str]:
    """A line of the page."""
    row = dict.fromkeys(COLUMNS, "") | {"library": library, "network": network, "side": side}
    images = torch.randn(2, 3, int(side), int(side), generator=torch.Generator().manual_seed(0))
    made = settle(build(library, network), torch.randn(4, 3, int(side), int(side), generator=torch.Generator().manual_seed(1)))
    try:
        calibration = calibrate(made, [images])
        spiking = convert(made, calibration, timesteps=2)
    except ConversionError as refusal:
        return row | {"refused": str(refusal)}
    layers = sum(isinstance(layer, Synapses) or bool(getattr(layer, "operands", ())) for layer in spiking.layers.values())
    found = error(made, calibration, images, STEPS)
    row |= {"neurons": str(len(spiking.neurons)), "layers": str(layers), "on_currents": str(len(spiking.dense_layers))}
    row |= {"error": f"{found:.1e}"}
    if found > BAR:
        precise, exact = made.double(), images.double()
        row |= {"error_more": f"{error(precise, calibrate(precise, [exact]), exact, MORE):.1e}"}
    return row


def page(rows: list[dict[str, str]]) -> str:
    """The page as Markdown."""
    versions = {name: version(name) for name in ("torch", "torchvision", "timm")}
    template = Environment(loader=FileSystemLoader(HERE), keep_trailing_newline=True).get_template("page.md.j2")
    known = sorted({*RULES, *FUNCTIONS, *PRODUCTS, *MASKS, "embedding"})
    return template.render(rows=rows, versions=versions, operations=known, steps=STEPS, more=MORE, bar=BAR)


def networks() -> list[dict[str, str]]:
    """The lines of ``networks.csv``."""
    with (HERE / "networks.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(chosen: list[str]) -> int:
    """Measure all networks, or the chosen ones without writing the page."""
    console, rows = Console(), []
    for line in networks():
        if not chosen or line["network"] in chosen:
            rows.append(measure(**line))
            console.print(" ".join(filter(None, rows[-1].values())), soft_wrap=True)
    if not chosen:
        (REPORTS / "conversion.md").write_text(page(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
