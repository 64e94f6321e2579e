"""The package: what it holds is documented; it is upgraded, removed and purged as an administrator would do it."""

import re

import pytest

from service import assert_nothing_left, knocking, move, sessions, start_session

PLACES_DOCUMENTED = ("/usr/bin/", "/usr/libexec/envmux/", "/lib/systemd/system/", "/usr/lib/systemd/system/")
FOLDERS = ("/etc/envmux", "/run/envmux", "/var/lib/envmux", "/var/lib/envmux-backend")
USERS = ("envmux-backend", "envmux-router")


@pytest.fixture
def installed(boot_machine, package):
    machine = boot_machine()
    machine.install(*package)
    machine.wait_for_state("envmux.service", "active")
    return machine


def files_of(machine):
    lines = machine.run("dpkg-query --listfiles envmux").stdout.split()
    return machine.run(["find", *lines, "-maxdepth", "0", "-not", "-type", "d"]).stdout.split()


# ---- what it holds ------------------------------------------------------------------------------


def test_everything_that_is_installed_has_a_manual(machine):
    documented = [path for path in files_of(machine) if path.startswith(PLACES_DOCUMENTED)]
    assert len(documented) >= 10
    for path in [*documented, "/etc/envmux/envmux.json"]:
        assert machine.run(["man", "--where", path.rsplit("/", 1)[1]], check=False).stdout.strip(), path


def test_manuals_that_units_name_exist(machine):
    for unit in ("envmux.service", "envmux.socket", "envmux-sessions.service", "envmux.slice"):
        pages = re.findall(r"man:([^ ()]+)\((.)\)", machine.show(unit, "Documentation"))
        assert pages
        for name, section in pages:
            assert machine.run(["man", "--where", section, name]).stdout.strip(), name


def test_manuals_have_no_mistakes(machine):
    for path in files_of(machine):
        if path.startswith("/usr/share/man/"):
            page = re.fullmatch(r"(.*)\.(\d)(\.gz)?", path.rsplit("/", 1)[1])
            complaints = machine.run(["man", "--warnings", "-Tutf8", "-Z", page[2], page[1]]).stderr
            assert not complaints, path


def test_units_have_no_mistakes(machine):
    result = machine.run("systemd-analyze verify envmux.service envmux.socket envmux-sessions.service envmux.slice")
    assert "envmux" not in result.stderr


# ---- upgrade, removal, purge --------------------------------------------------------------------


def test_installing_it_again_keeps_sessions(installed, package):
    before = start_session(installed, "kept")
    with knocking(installed) as (_, refused):
        installed.install(*package)
        move(installed, "kept")
    assert not refused
    assert [session["backend_pid"] for session in sessions(installed)] == [before["backend_pid"]]
    assert installed.run("systemctl is-enabled envmux").stdout.strip() == "enabled"


def test_upgrade_keeps_what_was_disabled_and_stopped(installed, package):
    installed.run("systemctl disable --now envmux")
    installed.install(*package)
    assert installed.run("systemctl is-enabled envmux", check=False).stdout.strip() == "disabled"
    assert installed.show("envmux.service", "ActiveState") == "inactive"


def test_removal_stops_everything_and_keeps_the_configuration(installed):
    start_session(installed, "gone")
    installed.run("dpkg --remove envmux")
    assert_nothing_left(installed)
    assert installed.exists("/etc/envmux/envmux.json")


def test_purge_leaves_nothing(installed):
    start_session(installed, "gone")
    installed.write("/etc/envmux/conf.d/own.json", '{"mcpServers": {}}')
    installed.run("dpkg --purge envmux")
    assert_nothing_left(installed)
    for folder in FOLDERS:
        assert not installed.exists(folder), folder
    for user in USERS:
        assert installed.run(["getent", "passwd", user], check=False).returncode != 0
        assert installed.run(["getent", "group", user], check=False).returncode != 0
    names = installed.run("find /etc /usr /lib /var /run -xdev -name '*envmux*' -not -path '*/dpkg/*' "
                          "-not -path '/var/cache/apt/*' -not -path '/run/systemd/*'", check=False).stdout.split()
    assert not [name for name in names if not name.startswith(("/run/log", "/var/log"))]
