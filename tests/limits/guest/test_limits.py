"""Limits that the kernel enforces, and what clients hear of it."""

from world import (MIB, SESSIONS, SLICE, counters, expect_killed, folder, group, install_configuration, main_pid,
                   reload_configuration, session, sh, show, unit, wait_until)


def test_the_machine_has_controllers():
    available = (SLICE.parent / "cgroup.controllers").read_text().split()
    assert {"cpu", "io", "memory", "pids"} <= set(available), available


def test_a_session_beyond_its_memory_ends_alone():
    install_configuration(small={"memory_max": "32M", "tasks_max": 8})
    supervisor = main_pid()
    with session("small", "victim") as victim, session("small", "neighbour") as neighbour:
        neighbour.call("count")
        cgroup = folder("small", "victim")
        assert (cgroup / "backend/memory.max").read_text() == f"{32 * MIB}\n"
        expect_killed(victim, "limit 32M", "eat_in_child")
        wait_until(lambda: not cgroup.exists(), "nothing is left of the session")
        assert "killed: out of memory (limit 32M)" in str(show("small", "victim"))
        assert neighbour.call("count") == 2
    assert main_pid() == supervisor
    with session("small", "victim") as successor:
        assert successor.call("eat", mib=8) == 8


def test_a_session_cannot_start_more_tasks_than_it_may():
    install_configuration(small={"tasks_max": 8})
    with session("small", "bomb") as bomb, session("small", "neighbour") as neighbour:
        assert bomb.call("fork", count=100) == 7, group("small", "bomb", "backend/pids.current")
        assert group("small", "bomb", "backend/pids.max") == "8"
        assert neighbour.call("fork", count=3) == 3
        assert bomb.call("fork", count=1) == 0
    with session("small", "next") as client:
        client.call("count")


def test_a_session_gets_no_more_than_its_share_of_the_cpu():
    install_configuration(slow={"cpu_quota": "20%"}, light={"cpu_weight": 50}, idle={"cpu_weight": "idle"})
    with session("slow", "a") as client:
        used = client.call("spin", seconds=2)
        assert used < 0.8, used
        assert group("slow", "a", "backend/cpu.max") == "20000 100000"
        assert counters(group("slow", "a", "backend/cpu.stat"))["nr_throttled"] >= 5
    with session("light", "a"), session("idle", "a"):
        assert group("light", "a", "cpu.weight") == "50"
        assert group("idle", "a", "cpu.idle") == "1"


def test_the_sessions_of_a_user_share_a_limit():
    install_configuration(users={"per_principal": {"memory_max": "64M", "tasks_max": 12}})
    with session("users", "a") as a, session("users", "b") as b:
        assert a.call("eat", mib=8) == 8  # the kernel takes the one that has most
        expect_killed(b, "limit of its user")
        assert a.call("eat", mib=0) == 8
        assert int((folder("users", "a").parent / "memory.max").read_text()) == 64 * MIB


def test_the_sessions_of_a_server_share_a_limit():
    install_configuration(crowd={"per_server": {"memory_max": "64M"}}, other={})
    with session("crowd", "a") as a, session("crowd", "b") as b, session("other", "c") as c:
        assert a.call("eat", mib=8) == 8  # the kernel takes the one that has most
        expect_killed(b, "limit of its server")
        assert a.call("eat", mib=0) == 8
        assert c.call("eat", mib=80) == 80


def test_the_administrator_limits_all_of_them():
    install_configuration(free={}, small={"memory_max": "32M"})
    with session("free", "a") as greedy, session("small", "b") as small:
        before = unit("MemoryMax", "envmux.slice")
        sh("systemctl", "set-property", "--runtime", "envmux.slice", "MemoryMax=128M")
        try:
            sh("systemctl", "daemon-reload")
            assert group("small", "b", "backend/memory.max") == f"{32 * MIB}"
            assert (SLICE / "memory.max").read_text().strip() == f"{128 * MIB}"
            expect_killed(greedy, "limit of the machine", mib=160)
            assert small.call("count") == 1
        finally:
            sh("systemctl", "set-property", "--runtime", "envmux.slice", f"MemoryMax={before}")
        expect_killed(small, "limit 32M")


def test_a_reload_changes_limits():
    install_configuration(small={"memory_max": "32M", "per_server": {"tasks_max": 20}})
    with session("small", "old") as old:
        old.call("count")
        reload_configuration(small={"memory_max": "48M", "per_server": {"tasks_max": 30}})
        wait_until(lambda: (SESSIONS / "small/pids.max").read_text() == "30\n", "the server's limit changed")
        assert group("small", "old", "backend/memory.max") == f"{32 * MIB}"
        with session("small", "new") as new:
            assert group("small", "new", "backend/memory.max") == f"{48 * MIB}"
            expect_killed(new, "limit 48M")
        assert old.call("count") == 2
