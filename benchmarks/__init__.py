"""Benchmarks that re-run published papers on spiking neural networks, table by table."""
