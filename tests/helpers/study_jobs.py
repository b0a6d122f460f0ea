"""What may happen to a run on a worker, importable by workers."""

import os
from pathlib import Path

from landslip.errors import ModelError
from landslip.study.parallel import make_run


def troubled(study, work):
    """One run's worker dies in the middle the first time; another run cannot be made at all."""
    mark = Path(study) / "died"
    if work.run.folder == "runs/unet/seed0" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    if work.run.folder == "runs/forest/seed1":
        message = "no forest grows here"
        raise ModelError(message)
    make_run(study, work)
