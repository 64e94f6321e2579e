"""Each message of a backend reaches the one stream it belongs on, in the order in which it was sent: concurrent calls
with progress, logging, sampling and elicitation interleaved, of one client and of several that all count from 0."""

import threading

import pytest

import transparency
from harness import wait_until
from mcp_streams import text

ROUNDS = 5


@pytest.fixture(params=transparency.TRANSPORTS)
def run(envmux, request):
    run = envmux(transparency.config(request.param))
    run.transport = request.param
    return run


class Conversation:
    """Reads one call's stream to its end and answers what it is asked; keeps everything."""

    def __init__(self, client, name, parties, id, token):
        self.name, self.id, self.token, self.messages, self.client = name, id, token, [], client
        self.stream = client.begin("mix", {"name": name, "rounds": ROUNDS, "parties": parties}, id, token)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for message in self.stream:
            self.messages.append(message)
            if "id" in message and "method" in message:
                said = f"{message['method']} {message['params']['name']} {message['params']['round']}"
                self.client.tell({"id": message["id"], "result": {"said": said}})

    def end(self):
        self.thread.join(60)
        assert not self.thread.is_alive(), self.messages[-3:]
        return self

    def params(self, method):
        return [message["params"] for message in self.messages if message.get("method") == method]


def seqs(conversation):
    return [(message.get("params") or message.get("result"))["seq"] for message in conversation.messages]


def check_own(conversation):
    """What names its call: the answer, the progress and the answers to its questions."""
    name, response = conversation.name, conversation.messages[-1]
    assert response["id"] == conversation.id and [m["id"] for m in conversation.messages if "result" in m] == [conversation.id]
    assert text(response) == [f"{method} {name} {i}" for i in range(ROUNDS) for method in ("sampling/createMessage", "elicitation/create")]
    progress = conversation.params("notifications/progress")
    assert {p["progressToken"] for p in progress} == {conversation.token}
    assert [(p["progress"], p["message"]) for p in progress] == [(i, name) for i in range(2 * ROUNDS)]


def check_all(conversations):
    """What names no call: everything came once, on one stream, and in order."""
    for conversation in conversations:
        assert seqs(conversation) == sorted(seqs(conversation))
    everything = sorted(seq for conversation in conversations for seq in seqs(conversation))
    assert len(everything) == len(set(everything)) == len(conversations) * (ROUNDS * 5 + 1)
    logs = [p["data"] for c in conversations for p in c.params("notifications/message")]
    assert sorted(logs) == sorted(f"{c.name} {i}" for c in conversations for i in range(ROUNDS))


def test_concurrent_calls_of_one_client(run):
    """Ids and tokens that only their types tell apart, and one that is another's token."""
    client = transparency.caller(run)
    ids = [7, "7", 8, "a b", "é", -1]
    begun = [Conversation(client, f"call-{i}", len(ids), id, token) for i, (id, token) in enumerate(zip(ids, reversed(ids)))]
    conversations = [conversation.end() for conversation in begun]
    for conversation in conversations:
        check_own(conversation)
    check_all(conversations)
    client.delete()


def test_clients_that_share_a_session_and_count_alike(run):
    """Three clients, the same ids and tokens, one backend: nothing crosses, whatever the order of the answers."""
    clients = [transparency.caller(run, key="shared") for _ in range(3)]
    begun = [Conversation(client, f"client-{c}-call-{i}", 6, i, i) for i in range(2) for c, client in enumerate(clients)]
    conversations = [conversation.end() for conversation in begun]
    for conversation in conversations:
        check_own(conversation)
    check_all(conversations)
    assert len({client.call("seen")["pid"] for client in clients}) == 1
    if run.transport == "http":  # each stream is the call's own there: so is all that came on it
        for conversation in conversations:
            assert {p["data"].split()[0] for p in conversation.params("notifications/message")} == {conversation.name}


def test_a_cancellation_is_for_the_client_that_sent_it(run):
    clients = [transparency.caller(run, key="shared") for _ in range(2)]
    calls = []
    for client in clients:
        calls.append(client.begin("hang", {"stream": True}, id=0, token=0))
        assert calls[-1].event()[1]["params"]["progressToken"] == 0
    hanging = clients[0].call("seen")["notes"]
    assert len(hanging) == 2
    clients[1].tell({"method": "notifications/cancelled", "params": {"requestId": 0}})
    told = wait_until(lambda: clients[0].call("seen")["cancelled"], "the cancellation at the backend")
    assert told == [hanging[1]]
    if run.transport == "stdio":  # over HTTP the ids of two sessions may be equal: the backend tells them apart
        assert hanging[0] != hanging[1]
        assert list(calls[1]) == []  # its stream ends; the other's does not
    for call in calls:
        call.close()
