"""Files by path or address: where they are, read, and written so that nothing is ever half-written.

``places`` says where something is and gets it, ``s3`` and ``web`` are behind addresses; ``reading``, ``atomic`` and
``folders`` are for files and folders on disk; ``outputs`` holds an output folder wherever it is. Nothing here knows
what the files mean.
"""

from landslip.files.atomic import atomic_path, check_place, keep_inputs, make_folder, write_json, write_text, writing
from landslip.files.folders import PARTIAL, locked, refuse_others
from landslip.files.reading import FORMAT, check_format, read_complete, read_json, require_file, sha256

__all__ = [
    "FORMAT",
    "PARTIAL",
    "atomic_path",
    "check_format",
    "check_place",
    "keep_inputs",
    "locked",
    "make_folder",
    "read_complete",
    "read_json",
    "refuse_others",
    "require_file",
    "sha256",
    "write_json",
    "write_text",
    "writing",
]
