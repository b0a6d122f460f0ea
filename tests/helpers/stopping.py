"""Ending a study in the middle, as a kill would."""

from landslip.progress import SILENT


class StoppedError(Exception):
    pass


class Killer:
    """A listener that ends everything when one more training begins than it was told, wherever that is."""

    def __init__(self, after):
        self.left = after

    def task(self, label, total=None):
        if label.startswith("training"):
            self.left -= 1
            if self.left < 0:
                raise StoppedError
        return SILENT.task(label, total)
