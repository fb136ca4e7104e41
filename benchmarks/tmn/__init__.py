"""TMN: A Lightweight Neuron Model for Efficient Nonlinear Spike Representation (arXiv 2408.17245 v3).

The room of this paper: its tables and claims as printed (``published/``) and the code that measures them again.
"""
