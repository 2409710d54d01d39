"""A few kills of a cluster; `make chaos BACKEND=distributed` does it a hundred times."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from .chaos import CLUSTER_VICTIMS, STAGES, Stage, Victim, play, twice
from .hosts import Cluster

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the servers are for Linux")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("chaos")
    cluster = Cluster(folder, TESTS_WITNESS=folder)
    try:
        cluster.start()
        yield cluster
        left = cluster.left_behind()
    finally:
        code = cluster.stop()
    assert left == []
    assert code == 0
    assert cluster.orphans() == []
    assert twice(folder) == []


@pytest.mark.parametrize(
    ("stage", "victim"),
    [*zip(STAGES, CLUSTER_VICTIMS, strict=False)],
    ids=lambda function: function.__name__,
)
def test_s31_a_kill_in_a_cluster_loses_nothing(
    cluster: Cluster, stage: Stage, victim: Victim
) -> None:
    outcome = play(cluster, stage, victim)
    assert not outcome.startswith("failed"), outcome
