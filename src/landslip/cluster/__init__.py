"""Many jobs over processes and machines, by Dask: connecting to a cluster, and running jobs on it.

This room knows nothing of scenes, maps or studies. A job is a function of a module, with small arguments (paths,
settings): workers read their inputs and write their outputs themselves, and nothing large passes through the
scheduler. Without a cluster the same jobs run in this process, one after another.

Importing this room imports no Dask; :func:`connect` does.
"""

from landslip.cluster.connect import Cluster, connect
from landslip.cluster.jobs import Batch, Job, Outcome, collect, run_all

__all__ = ["Batch", "Cluster", "Job", "Outcome", "collect", "connect", "run_all"]
