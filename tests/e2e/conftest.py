"""Fixtures of the end-to-end tests. They need a built tree: ./dev build."""

import pytest

import harness
import node_tools


def pytest_configure(config):
    if not harness.ENVMUX.exists():
        raise pytest.UsageError(f"{harness.ENVMUX} is missing: run ./dev build first")
    node_tools.use_pinned_node()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def envmux(tmp_path_factory):
    """Starts runs; each ends with the test, and leaves nothing or fails it."""
    runs = []

    def start(config=None, **options):
        # Unix socket paths are short: pytest's own folders would be too deep.
        runs.append(harness.Envmux(tmp_path_factory.mktemp("e"), config, **options))
        return runs[-1]

    yield start
    failures = []
    for run in runs:
        try:
            if run.process.returncode is None:
                run.stop()
        except AssertionError as error:
            failures.append(str(error))
        finally:
            run.kill_everything()
    assert not failures, "\n".join(failures)
