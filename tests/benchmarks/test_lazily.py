"""Names of packages that are imported when they are asked for."""

import pytest

import benchmarks.models
from benchmarks.lazily import lazily


def test_a_name_comes_from_its_module_and_another_is_none_of_the_package() -> None:
    found = lazily("json", decoder="JSONDecoder scanstring")
    assert found("JSONDecoder").__module__ == "json.decoder"
    with pytest.raises(AttributeError, match="'json' has no attribute 'JSONEncoder'"):
        found("JSONEncoder")
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from benchmarks.models import nothing  # type: ignore[attr-defined]  # noqa: F401
    assert not hasattr(benchmarks.models, "nothing")
