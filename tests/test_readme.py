"""The README's example runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_example_converts_a_network_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "example"}
    exec(examples()[0], names)
    assert "T=8, latency 10 steps" in capsys.readouterr().out
    assert float(names["error"]) < 0.02  # type: ignore[arg-type]


def test_the_example_converts_a_transformer(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "example"}
    exec(examples()[1], names)
    assert "T=8, 6 evaluations, latency 32 steps" in capsys.readouterr().out
    assert float(names["error"]) < 0.02  # type: ignore[arg-type]


def test_the_example_trains_a_network_of_first_spikes() -> None:
    names: dict[str, object] = {"__name__": "example"}
    exec(examples()[2], names)
    gradients = [p.grad for p in names["net"].parameters()]  # type: ignore[attr-defined]
    assert float(names["loss"].detach()) > 0  # type: ignore[attr-defined]
    assert all(g is not None and g.abs().sum() > 0 for g in gradients)


def test_links_lead_to_files() -> None:
    root = README.parent
    for page in (README, root / "CONTRIBUTING.md"):
        links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        missing = [link for link in links if "://" not in link and not (root / link).exists()]
        assert missing == []
