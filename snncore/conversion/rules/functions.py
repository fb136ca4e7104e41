"""Functions of whole signals, evaluated on running estimates: softmax, normalisation, smooth activations.

With ``E[t]`` the value of a train read up to step t and ``F[t] = f(E[t])``, what goes on is ``z[t] = (F[t] - F[t-1]) / w[t]``
with ``F[0] = 0``: its weighted sum is F after every step. Started from f(0) it would lose that: a softmax its 1/N, LayerNorm its
beta.
They multiply (exponentials, divisions, squares, tables), T - L times each, since the first L estimates are never read.
"""

FUNCTIONS = (
    *("softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax"),
    *("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "rms_norm", "_fused_rms_norm"),
    *("gelu", "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "elu", "softplus", "mish", "leaky_relu"),
    *("pow", "rsqrt", "sqrt", "reciprocal", "exp"),
)
