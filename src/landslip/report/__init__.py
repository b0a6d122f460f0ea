"""The report of a study: figures, tables, and one self-contained HTML page.

Reads only the files of a study folder, computes no score of its own, and never claims a difference that an
interval does not support.
"""

from landslip.report.write import write_report

__all__ = ["write_report"]
