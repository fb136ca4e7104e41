"""ETTFS: An Efficient Training Framework for Time-to-First-Spike Neuron (arXiv 2410.23619 v1)."""
