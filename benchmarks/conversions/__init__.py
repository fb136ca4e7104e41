"""Which public networks can be converted: ``tox -e conversions`` writes ``reports/conversion.md``."""
