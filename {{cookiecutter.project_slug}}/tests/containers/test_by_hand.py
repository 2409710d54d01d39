"""The recipes, followed where there is no Docker; `by_hand.py` says what stands in for what."""

from __future__ import annotations

import re
import sys
import threading

import pytest

from .by_hand import Root, followed, use
from .recipes import read_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the image is for Linux")

COMPOSE = ["compose.yaml", "compose.distributed.yaml"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return Root(tmp_path_factory.mktemp("image"), read_image(), print)


def together(port: int, count: int) -> None:
    """So many people at once, each of whom gets a report."""
    failed: list[BaseException] = []

    def one() -> None:
        try:
            use(port)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("name", COMPOSE)
def test_the_services_make_reports_scale_and_stop_in_order(root: Root, name: str) -> None:
    with followed(root, name, print) as stack:
        use(stack.port)
        scaled = 4 if "worker" in stack.containers else 0
        if scaled:
            stack.scale("worker", scaled)
            together(stack.port, scaled)
        assert not re.search("warning|error", stack.containers["web"][0].run("check"))
        ended = stack.down()
        assert ended == {"web": [0]} | ({"worker": [0] * scaled} if scaled else {})
    assert root.changed() == []
