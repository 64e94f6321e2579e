"""The official conformance suite: our fixture passes it whole, and envmux in front of it takes nothing away."""

import pytest

import conformance
import node_tools

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    """What the fixture does by itself, by revision."""
    with conformance.directly() as url:
        yield {revision: conformance.run_suite(url, revision, tmp_path_factory.mktemp("direct"))
               for revision in conformance.REVISIONS}


@pytest.mark.parametrize("revision", conformance.REVISIONS)
def test_directly(direct, revision):
    run = direct[revision]
    assert run.missing() == [], "\n".join(map(str, run.findings))


@pytest.mark.parametrize("revision", conformance.REVISIONS)
@pytest.mark.parametrize("transport", conformance.TRANSPORTS)
def test_through_envmux(envmux, tmp_path, direct, transport, revision):
    run = conformance.run_suite(envmux(conformance.configuration()).mcp(transport), revision, tmp_path)
    worse = run.worse_than(direct[revision])
    assert worse == [], "\n".join(map(str, worse))
    assert run.missing() == [], "\n".join(map(str, run.findings))


POLLING = {"server-sse-priming-event", "server-sse-retry-field", "server-sse-disconnect-resume"}


@pytest.mark.parametrize("transport", conformance.TRANSPORTS)
def test_streams_are_polled(envmux, tmp_path, transport):
    """A call that outlives its connection: the backend closes it (HTTP), or envmux does in its place (stdio).

    The suite's client comes back once and at once; the tool answers after a second, so that the first
    connection has ended by then and the second has not."""
    config = conformance.configuration()
    config["mcpServers"]["stdio"]["envmux"] = {"stream_max": "600ms", "stream_retry": "100ms"}
    run = conformance.run_suite(envmux(config).mcp(transport), "2025-11-25", tmp_path, "server-sse-polling")
    checks = run.checks["server-sse-polling"]
    assert {name for name in POLLING if checks.get(name) == "SUCCESS"} == POLLING, checks
