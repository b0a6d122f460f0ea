"""``python -m landslip`` is the same as ``landslip``."""

from landslip.cli import main

main()
