"""Ternary Spike: Learning Ternary Spikes for Spiking Neural Networks (Guo et al., AAAI 2024)."""
