"""CSS: Canonic Signed Spike Coding for Efficient Spiking Neural Networks (arXiv 2408.17245 v2).

The predecessor of TMN: ternary self-amplifying (TSA) neurons with beta = 1.5 and a silent period. The room of this paper: its
table, figures and claims as printed (``published/``) and the code that measures them again.
"""
