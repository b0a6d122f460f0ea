"""The command line, called in this process."""

import sys

import pytest
import torch

from landslip.cli.app import main


@pytest.fixture
def landslip(monkeypatch, capsys):
    """Call the command line in this process: exit code, standard output, standard error."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def call(*words) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["landslip", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    yield call
    torch.set_num_threads(threads)
