"""Our operation counts beside those of syops-counter: ``tox -e crosscheck``.

syops-counter (PyPI ``syops``) is the tool behind the energies of TMN's Table 3. It runs in an environment of its own, because it
needs an old SpikingJelly and, undeclared, ``progress``.
"""
