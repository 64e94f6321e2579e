"""Every official client against every kind of backend: the table of the README, cell by cell."""

import concurrent.futures
import os

import pytest

import harness
import matrix
import node_tools

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))

CELLS = matrix.cells()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = harness.Envmux(tmp_path_factory.mktemp("e"), matrix.configuration())
    try:
        yield run
        run.stop()
    finally:
        run.kill_everything()


@pytest.fixture(scope="module")
def reports(run, request):
    """What came of each cell that is wanted, as futures: as many clients at a time as there are processors."""
    wanted = [item.callspec.params["cell"] for item in request.session.items if item.function is test_cell]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {cell: pool.submit(cell.report, run) for cell in wanted}


def test_the_table_is_whole():
    assert {cell.client for cell in CELLS} == set(matrix.CLIENTS)
    assert {cell.backend for cell in CELLS} == set(matrix.BACKENDS)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(run, reports, cell):
    report = reports[cell].result()
    if cell.expected == "refused":
        assert "error" in report
        return
    _, plan = matrix.BACKENDS[cell.backend]
    assert "error" not in report, f"{report}\n{run.log()}"
    assert report["tools"] is True
    assert matrix.ECHOES[plan] == report["echo"]
    if "revision" in report: # the Inspector does not say
        assert report["revision"] == cell.expected
        steps = matrix.STEPS[plan]
        # SDK 1.x loses progress that arrives together with the result, connected directly too.
        may_lose_last = cell.client == "TypeScript SDK 1.x"
        assert report["progress"] == steps or (may_lose_last and report["progress"] == steps[:-1])
        assert "sampled" in report["sampling"]
