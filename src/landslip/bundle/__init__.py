"""A trained run: the network's weights with everything that is needed to use them.

``model.safetensors`` holds the tensors, ``model.json`` (written last) the rest. For handing on, both fit into
one file: safetensors whose header carries the text of ``model.json``. Nothing in either can make a reader run
code. ``export`` writes that file, and graphs for programs without PyTorch.
"""

from landslip.bundle.bundle import Bundle
from landslip.bundle.description import MODEL, SUFFIX, read_description, run_name

__all__ = ["MODEL", "SUFFIX", "Bundle", "read_description", "run_name"]
