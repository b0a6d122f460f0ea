"""What the processes of a training do in the tests: a module of its own, which each of them imports."""

import os
import signal
import sys

import torch

import landslip.training  # noqa: F401 - imports the module below
from landslip.errors import ModelError

module = sys.modules["landslip.training.fit"]  # behind the function of that name
module_build, module_work = module.build_model, module.work


def frozen(*arguments, **named):
    """The real network with its batch norm frozen: statistics of a share are not those of a batch."""
    network = module_build(*arguments, **named)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.train = lambda mode=True, part=part: part
            part.eval()
            part.training = False
    return network


def work_with_frozen_norm(tiles, order, world, progress):
    module.build_model = frozen
    return module_work(tiles, order, world, progress)


def fail_in_second(tiles, order, world, progress):
    if world.rank == 1:
        raise ModelError("the second process has had enough")
    return work_with_frozen_norm(tiles, order, world, progress)


def die_in_second(tiles, order, world, progress):
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return work_with_frozen_norm(tiles, order, world, progress)
