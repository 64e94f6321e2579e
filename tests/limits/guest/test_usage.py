"""What sessions use, as `envmux` tells it from the kernel's counters."""

from world import MIB, ctl, folder, group, install_configuration, session, sessions, show


def usage_of(found, key):
    return next(s["usage"] for s in found if s["key"] == key)


def test_usage_is_what_the_kernel_counts():
    install_configuration(any={})
    with session("any", "big") as big, session("any", "small") as small:
        big.call("eat", mib=40)
        big.call("eat_in_child", mib=30)
        small.call("fork", count=5)
        small.call("spin", seconds=0.5)

        listed = sessions()
        used = usage_of(listed, "big")
        assert 40 * MIB < used["memory_bytes"] < 64 * MIB, used
        assert 70 * MIB < used["memory_peak_bytes"] < 94 * MIB, used
        in_kernel = int(group("any", "big", "backend/memory.current"))
        assert abs(used["memory_bytes"] - in_kernel) < 4 * MIB, (used, in_kernel)
        used = usage_of(listed, "small")
        assert used["tasks"] == int(group("any", "small", "backend/pids.current")) == 6, used
        assert used["cpu_usec"] > 250_000, used

        assert show("any", "big")["usage"]["memory_bytes"] > 40 * MIB
        top = {s["key"]: s for s in ctl("top", "--delay", "1")}
        assert top["big"]["usage"]["memory_bytes"] > 40 * MIB
        assert top["small"]["usage"]["tasks"] == 6


def test_every_session_is_told_by_its_limits():
    install_configuration(small={"memory_max": "32M", "cpu_quota": "150%", "per_server": {"tasks_max": 20}})
    with session("small", "a"):
        told = show("small", "a")
        assert told["limits"] == {"memory_max": "32M", "cpu_quota": "150%"}
        assert told["server_limits"] == {"tasks_max": "20"}
        assert "unenforced" not in told
        assert folder("small", "a").joinpath("backend/cpu.max").read_text() == "150000 100000\n"
