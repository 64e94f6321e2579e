"""The MCP Inspector's CLI through envmux, in its three modes: what a developer tries first (and see test_matrix.py)."""

import json

import pytest

import conformance
import inspector
import node_tools

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))

ERAS = {"legacy": "legacy", "auto": "modern", "modern": "modern"}


@pytest.fixture
def run(envmux):
    return envmux(conformance.configuration())


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("transport", conformance.TRANSPORTS)
def test_tools_resources_and_prompts(run, transport, mode):
    url = run.mcp(transport)
    assert json.loads(inspector.call(mode, url, "test_identity"))["era"] == ERAS[mode]
    [content] = inspector.ask(mode, url, "resources/read", "--uri", "test://template/7/data")["contents"]
    assert json.loads(content["text"])["id"] == "7"
    prompt = inspector.ask(mode, url, "prompts/get", "--prompt-name", "test_prompt_with_arguments",
                           "--prompt-args", "arg1=one", "arg2=two")
    assert prompt["messages"][0]["content"]["text"] == "Prompt with arguments: arg1='one', arg2='two'"


@pytest.mark.parametrize("transport", conformance.TRANSPORTS)
def test_requests_without_a_key_share_an_instance_and_a_header_names_another(run, transport):
    url = run.mcp(transport)
    key = ("--header", "Envmux-Session: mine")
    shared = [json.loads(inspector.call("modern", url, "test_identity")) for _ in range(2)]
    mine = [json.loads(inspector.call("modern", url, "test_identity", *key)) for _ in range(2)]
    assert shared[0] == shared[1]
    assert mine[0] == mine[1]
    assert shared[0]["pid"] != mine[0]["pid"]


@pytest.mark.parametrize("transport", conformance.TRANSPORTS)
def test_runs_of_the_older_era_are_sessions_of_their_own(run, transport):
    pids = {json.loads(inspector.call("legacy", run.mcp(transport), "test_identity"))["pid"] for _ in range(2)}
    assert len(pids) == 2
