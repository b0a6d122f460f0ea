"""Many jobs on workers of this machine: results, failures, deaths, remarks, and how many are under way."""

import gc
import logging
import time

import dask
import pytest

from helpers import cluster_jobs
from landslip.cluster import Job, connect, run_all


@pytest.fixture(scope="module")
def cluster():
    with connect("local:2") as connected:
        yield connected


def values(outcomes):
    return {outcome.job.name: outcome.value for outcome in outcomes if not outcome.failed}


def reasons(outcomes):
    return {outcome.job.name: outcome.reason for outcome in outcomes if outcome.failed}


NUMBERS = [Job(str(number), (number,)) for number in range(7)]


def test_the_same_results_here_and_there(cluster):
    assert values(run_all(cluster, cluster_jobs.double, NUMBERS)) == values(run_all(None, cluster_jobs.double, NUMBERS))
    assert cluster.size() == 2


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_failure_is_told_in_one_line_and_the_others_go_on(cluster, where):
    outcomes = list(run_all(cluster if where == "there" else None, cluster_jobs.mixed, NUMBERS))
    assert values(outcomes) == {str(number): number for number in (0, 1, 2, 4, 5, 6)}
    assert reasons(outcomes) == {"3": "three: not wanted"}
    found = reasons(run_all(cluster if where == "there" else None, cluster_jobs.divide, [Job("zero", (0,))]))
    assert found == {"zero": "internal error: ZeroDivisionError: division by zero"}
    found = reasons(run_all(cluster if where == "there" else None, cluster_jobs.refuse, [Job("x", ("scene",))]))
    assert found == {"x": "scene: cannot be used"}


def test_a_job_whose_worker_died_is_run_again_as_often_as_allowed(cluster, tmp_path, caplog):
    marks = tmp_path / "marks"
    marks.mkdir()
    with caplog.at_level(logging.WARNING, "landslip"):
        outcomes = list(run_all(cluster, cluster_jobs.die_until, [Job("frail", (str(marks), 1))], retries=1))
    assert values(outcomes) == {"frail": 1}
    assert "frail: its worker died; the job is run again" in caplog.text
    jobs = [Job("doomed", (str(marks), 9))]
    found = reasons(run_all(cluster, cluster_jobs.die_until, jobs, retries=1))
    assert found == {"doomed": "its worker died 2 times, most often for want of memory; use fewer workers"}
    assert len(list(marks.iterdir())) == 3
    assert values(run_all(cluster, cluster_jobs.double, NUMBERS))["6"] == 12  # the workers are back


def test_workers_that_dask_has_given_up_are_replaced(monkeypatch):
    monkeypatch.setattr("landslip.cluster.jobs._KEEP_UP_S", 0.5)
    with connect("local:1") as cluster, dask.config.set({"distributed.deploy.lost-worker-timeout": "200ms"}):
        ours = cluster.client.cluster
        outcomes = run_all(cluster, cluster_jobs.double, NUMBERS)
        assert next(outcomes).value == 0
        (nanny,) = ours.workers.values()
        ours.sync(nanny.close)  # as it does when its worker dies while it starts
        assert values(outcomes)["6"] == 12
        assert nanny not in ours.workers.values()


@pytest.mark.parametrize(("short_s", "each"), [(0.0, 1), (60.0, 2)])
def test_few_jobs_are_under_way(cluster, monkeypatch, short_s, each):
    monkeypatch.setattr("landslip.cluster.jobs.SHORT_S", short_s)
    taken, ended, most = 0, 0, 0

    def jobs():
        nonlocal taken
        for number in range(60):
            taken += 1
            yield Job(str(number), (number,))

    for _ in run_all(cluster, cluster_jobs.double, jobs()):
        ended += 1
        most = max(most, taken - ended)
        assert len(cluster.client.futures) <= 2 * each + 2
    assert ended == 60
    assert each <= most <= 2 * each + 1


def test_what_is_not_waited_for_is_taken_back(cluster):
    outcomes = run_all(cluster, cluster_jobs.double, NUMBERS)
    next(outcomes)
    outcomes.close()
    for _ in range(100):
        gc.collect()
        if not cluster.client.futures:
            break
        time.sleep(0.1)
    assert not cluster.client.futures


def test_large_arguments_are_refused(cluster):
    with pytest.raises(ValueError, match="too large to pass through a scheduler; name files instead"):
        list(run_all(cluster, cluster_jobs.double, [Job("big", (bytes(2 << 20),))]))


def test_workers_compute_in_one_thread_and_their_remarks_arrive(cluster, caplog):
    names = ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "GDAL_NUM_THREADS"]
    found = values(run_all(cluster, cluster_jobs.environment, [Job(name, (name,)) for name in names]))
    assert found == dict.fromkeys(names, "1")
    assert values(run_all(cluster, cluster_jobs.threads, [Job("torch")])) == {"torch": 1}
    with caplog.at_level(logging.WARNING, "landslip"):
        list(run_all(cluster, cluster_jobs.warn, [Job("valley", ("gap",))]))
        list(run_all(cluster, cluster_jobs.warn, [Job("ridge", ("gap",))], remarks=False))
    assert [record.getMessage() for record in caplog.records] == ["valley: mind the gap"]
