"""TMN: A Lightweight Neuron Model for Efficient Nonlinear Spike Representation (arXiv 2408.17245 v3)."""
