"""The command line: one file per sub-command, arguments and printing only.

Nothing heavy is imported at the top of any file here, so that help is instant.
"""

from landslip.cli.app import main

__all__ = ["main"]
