"""Simulated events shared by the tests of this folder."""

from __future__ import annotations

import pytest

from landslip.simulate import SimulateConfig, simulate_event


@pytest.fixture(scope="session")
def event(tmp_path_factory):
    """The demo's event: default size and seed."""
    return simulate_event(SimulateConfig(), tmp_path_factory.mktemp("event"))


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A small event of another seed."""
    return simulate_event(SimulateConfig(size_px=256, seed=3), tmp_path_factory.mktemp("small"))
