"""envmux-supervisor --check and --schema: the parser and the JSON Schema for editors agree, the
examples are right, and what people and programs read about mistakes is what the manual promises."""

import copy
import json
import os
import re
import subprocess

import jsonschema
import pytest

import harness

SUPERVISOR = harness.LIBEXEC / "envmux-supervisor"
SCHEMA_FILE = harness.ROOT / "share" / "envmux" / "envmux.schema.json"
ENTRY = {"command": "sh"}
HTTP = {"command": "sh", "args": ["${envmux:port}"], "envmux": {"transport": "http"}}


def supervisor(*arguments, **environment):
    return subprocess.run(
        [SUPERVISOR, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}
    )


def check(path, *arguments):
    done = supervisor("--check", *arguments, "--config", path)
    assert done.stderr == ""
    return done


@pytest.fixture(scope="module")
def schema():
    schema = json.loads(supervisor("--schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def lake(**members):
    return {"mcpServers": {"lake": {**ENTRY, **members}}}


def own(**members):
    return lake(envmux=members)


def top(**members):
    return {**lake(), "envmux": members}


GOOD = [
    lake(),
    {"servers": {"lake": {"type": "stdio", **ENTRY}}, "inputs": []},
    {"context_servers": {"lake": {"source": "custom", "enabled": True, **ENTRY}}},
    {"mcpServers": {"lake": ENTRY, "off": {"disabled": True, "excludeTools": ["x"], "args": 3}}},
    {"mcpServers": {"lake": ENTRY, "far": {"url": "https://x.example/mcp", "headers": {}}}},
    {"mcpServers": {"lake": ENTRY, "far": {"serverUrl": "https://x.example/mcp"}}},
    {"mcpServers": {"lake": HTTP}},
    {**lake(), "theme": "dark", "$schema": "x", "sandbox": None},
    lake(args=["a", "${HOME}"], env={"A": "1", "B": 2, "C": 0.5}, cwd="/"),
    lake(disabledTools=[], excludeTools=None, tools=["*"], sandboxEnabled=False, autoApprove=["x"], timeout=60),
    lake(unheard_of={"by": "envmux"}),
    own(idle_timeout="30min", lifetime=90, start_timeout=0.5, request_timeout="1h30min", stop_timeout="500ms"),
    own(idle_timeout=" 1 hour 30 minutes ", drain_timeout="0"),
    own(message_max="1M", buffer_max=2097152, log_max="64KiB"),
    own(keys=["path", "client"], attach="replace", max_sessions=1, prepare=["true"]),
    own(keys=["principal", "meta:openai/session"], keyless="shared"),
    own(memory_max="512M", tasks_max=64, cpu_quota="150%", cpu_weight=50),
    own(memory_max="1.5G", tasks_max="10%", cpu_quota="infinity", cpu_weight="idle"),
    own(memory_max=104857600, per_principal={"memory_max": "10%"}, per_server={"cpu_weight": 10, "tasks_max": "100"}),
    top(memory_max="infinity", per_server={"memory_max": "4G"}),
    top(keyless="reject"),
    top(max_sessions=5, queue=0, queue_timeout=0, routers=1, idle_timeout="1d", attach="reject"),
    top(origins=["https://a.example", "http://b.example:8080"], hosts=["a.example", "[::1]:80"], head_max="8K"),
    top(session_header="X-Lake", origins=[]),
]

BAD = [
    {},
    {"mcpServers": []},
    {"mcpServers": {"lake": "sh"}},
    {"mcpServers": {"lake": {"args": []}}},
    {"mcpServers": {"s": ENTRY}},
    {"mcpServers": {"a b": ENTRY}},
    {"mcpServers": {"x" * 65: ENTRY}},
    lake(command=""),
    lake(command=["sh"]),
    lake(command="${envmux:session}"),
    lake(args="x"),
    lake(args=["x", 1]),
    lake(env={"A": None}),
    lake(env={"A": True}),
    lake(env=["A=1"]),
    lake(cwd=1),
    lake(type="pipe"),
    lake(disabled="no"),
    lake(excludeTools=["x"]),
    lake(includeTools=[]),
    lake(tools=["read"]),
    lake(sandbox={"network": False}),
    {**lake(), "sandbox": {"enabled": True}},
    {**lake(), "mcp": {"excluded": ["lake"]}},
    lake(envmux=[]),
    own(seeed=1),
    own(idle_timeout="soon"),
    own(idle_timeout="30 minuts"),
    own(idle_timeout=0),
    own(idle_timeout=True),
    own(idle_timeout="1h 5"),
    own(message_max="1P"),
    own(message_max=1),
    own(message_max=1048576.5),
    own(max_sessions=0),
    own(max_sessions="5"),
    own(attach="joyn"),
    own(on_idle="sleep"),
    own(keys=[]),
    own(keys=["cookie"]),
    own(keys=["meta:a b"]),
    own(keyless="none"),
    own(prepare=[]),
    own(prepare="true"),
    own(routers=2),
    own(memory_max="lots"),
    own(memory_max=512),
    own(memory_max="-1"),
    own(tasks_max=0),
    own(cpu_quota=150),
    own(cpu_quota="150"),
    own(cpu_weight=10001),
    own(cpu_weight="high"),
    own(per_server="1G"),
    own(per_server={"memory": "1G"}),
    own(per_principal={"idle_timeout": "1h"}),
    own(http_path="mcp"),
    top(transport="http"),
    top(routers=0),
    top(origins=["a.example"]),
    top(hosts=["http://a.example"]),
    top(session_header="a b"),
    top(prepare=["true"]),
]

# Seen only by the parser: they depend on several values, on the environment or on files.
BAD_TOGETHER = [
    {"mcpServers": {}},
    {"mcpServers": {"far": {"url": "https://x.example/mcp"}}},
    {"mcpServers": {"lake": ENTRY}, "servers": {"lake": ENTRY}},
    {**lake(), "mcpServer": {}},
    lake(args=["${NO_SUCH_VARIABLE_HERE}"]),
    lake(args=["${input:key}"]),
    lake(args=["${envmux:port}"]),
    lake(args=["-c", "x ${envmux:seed}"]),
    lake(envFile="/no/such/file"),
    lake(comand="sh"),
    own(transport="http"),
    own(http_path="/x"),
    own(idle_timeout="5000d"),
    own(buffer_max="1M", message_max="2M"),
    own(memory_max="512"),
    own(memory_max="101%"),
    own(tasks_max="0"),
    own(cpu_quota="0.5%"),
    own(cpu_weight="0"),
    own(keys=["meta:a", "meta:b"]),
    own(keys=["principal"], keyless="reject"),
]


def name(value):
    return json.dumps(value)[:70]


def write(tmp_path, config):
    path = tmp_path / "envmux.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return path


def verdict(tmp_path, config):
    done = check(write(tmp_path, config), "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 2)
    assert answer["ok"] == (not answer["mistakes"])
    return answer


@pytest.mark.parametrize("config", GOOD, ids=name)
def test_good_ones_are_accepted_by_parser_and_schema(tmp_path, schema, config):
    assert verdict(tmp_path, config)["mistakes"] == []
    assert [error.message for error in schema.iter_errors(config)] == []


@pytest.mark.parametrize("config", BAD, ids=name)
def test_bad_ones_are_refused_by_parser_and_schema(tmp_path, schema, config):
    assert verdict(tmp_path, config)["mistakes"]
    assert not schema.is_valid(config)


@pytest.mark.parametrize("config", BAD_TOGETHER, ids=name)
def test_what_only_the_parser_can_see_is_refused_by_it(tmp_path, schema, config):
    assert verdict(tmp_path, config)["mistakes"]
    assert schema.is_valid(config)


def test_every_default_in_the_schema_is_a_value_it_accepts(tmp_path, schema):
    properties = schema.schema["properties"]["envmux"]["properties"]
    for key, value in properties.items():
        default = re.search(r"\(default: (.*)\)$", value["description"]).group(1)
        if re.fullmatch(r"[0-9]+", default):
            default = int(default)
        elif key == "keys":
            default = default.split(", ")
        elif default in ("none", "one per core", "that of --backend-user") or default.startswith("twice"):
            continue
        assert verdict(tmp_path, top(**{key: default}))["ok"], key
        assert schema.is_valid(top(**{key: default})), key


def test_the_installed_schema_is_the_programs():
    assert SCHEMA_FILE.read_text() == supervisor("--schema").stdout


@pytest.mark.parametrize("path", sorted(harness.EXAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_examples_are_right(path, schema):
    done = check(path, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0, answer["mistakes"]
    assert answer["servers"]
    without_comments = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
    assert [error.message for error in schema.iter_errors(json.loads(without_comments))] == []


def test_all_mistakes_are_printed_at_once_one_to_a_line(tmp_path):
    config = copy.deepcopy(own(idle_timout="1h"))
    config["mcpServers"]["pond"] = {"args": [1]}
    config["theme"] = "dark"
    path = write(tmp_path, config)
    done = check(path)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        f"{path}: theme: note: ignored: no key that envmux knows",
        f'{path}: mcpServers.lake.envmux.idle_timout: unknown key (did you mean "idle_timeout"?)',
        f'{path}: mcpServers.pond: has neither "command" nor "url"',
        f"{path}: mcpServers.pond.args[0]: must be a string, is a number",
    ]


def test_a_good_file_is_summed_up(tmp_path):
    path = write(tmp_path, {"mcpServers": {"a": ENTRY, "default": HTTP}})
    done = check(path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"{path}: 2 servers: a at /a/mcp, default at /default/mcp (also /mcp)"
    answer = json.loads(check(path, "--json").stdout)
    assert answer["file"] == str(path)
    assert answer["servers"] == [
        {"name": "a", "transport": "stdio", "command": "sh", "paths": ["/a/mcp"], "file": str(path)},
        {"name": "default", "transport": "http", "command": "sh", "paths": ["/default/mcp", "/mcp"], "file": str(path)},
    ]
    assert answer["files"] == [str(path)]


def test_drop_ins_are_checked_with_it(tmp_path):
    path = write(tmp_path, {"mcpServers": {"a": ENTRY, "b": ENTRY}})
    (tmp_path / "conf.d").mkdir()
    drop_in = tmp_path / "conf.d" / "b.json"
    drop_in.write_text('{\n  "mcpServers": {"b": {"command": "sh", "args": ["-v"]}}}')
    done = check(path, "--drop-ins", tmp_path / "conf.d")
    assert (done.returncode, done.stdout.splitlines()) == (0, [
        f"{drop_in}: mcpServers.b: note: replaces the entry of {path}",
        f"{path}, {drop_in}: 2 servers: a at /a/mcp, b at /b/mcp",
    ])
    answer = json.loads(check(path, "--drop-ins", tmp_path / "conf.d", "--json").stdout)
    assert answer["files"] == [str(path), str(drop_in)]
    assert {server["name"]: server["file"] for server in answer["servers"]} == {"a": str(path), "b": str(drop_in)}
    assert [note["file"] for note in answer["notes"]] == [str(drop_in)]

    drop_in.write_text('{\n  "mcpServers": {]}')
    done = check(path, "--drop-ins", tmp_path / "conf.d")
    assert (done.returncode, done.stdout) == (2, f"{drop_in}: 2:18: not JSON: quoted object property name expected\n")
    assert check(path).returncode == 0  # a file that is named is read alone


def test_without_a_file_the_installed_configuration_is_checked():
    path = harness.ROOT / "etc" / "envmux" / "envmux.json"
    done = subprocess.run([harness.ENVMUX, "check", "--json"], capture_output=True, text=True)
    assert json.loads(done.stdout)["file"] == str(path)
    assert done.returncode == (0 if path.exists() else 2)


def test_syntax_errors_say_where(tmp_path):
    path = write(tmp_path, '{\n  "mcpServers": {\n    "a": {"command": "sh" "args": []}\n  }\n}\n')
    done = check(path)
    assert done.returncode == 2
    assert done.stdout == f"{path}: 3:27: not JSON: object value separator ',' expected\n"


def test_a_missing_file_is_a_mistake(tmp_path):
    path = tmp_path / "none.json"
    done = check(path)
    assert done.returncode == 2
    assert done.stdout == f"{path}: cannot be read: No such file or directory\n"


def test_envmux_check_is_the_same(tmp_path):
    path = write(tmp_path, own(seeed=1))
    done = subprocess.run([harness.ENVMUX, "check", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, check(path).stdout)
