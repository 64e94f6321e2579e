"""The package: what it holds is documented; it is upgraded, removed and purged as an administrator would do it."""

import re

import pytest

import load
from service import assert_nothing_left, knocking, move, sessions, start_session

PLACES_DOCUMENTED = ("/usr/bin/", "/usr/libexec/envmux/", "/lib/systemd/system/", "/usr/lib/systemd/system/")
# What dpkg, systemd and passwd keep for themselves, whatever was installed
BOOKKEEPING = (
    "/etc/.pwd.lock", "/etc/group", "/etc/group-", "/etc/gshadow", "/etc/gshadow-", "/etc/ld.so.cache", "/etc/passwd",
    "/etc/passwd-", "/etc/shadow", "/etc/shadow-", "/etc/subgid", "/etc/subuid", "/run/adduser", "/run/log",
    "/run/systemd", "/run/udev", "/var/cache", "/var/lib/dpkg", "/var/lib/systemd/catalog",
    "/var/lib/systemd/deb-systemd-helper-masked", "/var/lib/ucf", "/var/log",
)
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


def test_what_was_removed_can_be_installed_again(installed, package):
    installed.write("/etc/envmux/conf.d/own.json", '{"mcpServers": {"own": {"command": "frozen-lake"}}}')
    installed.run("dpkg --remove envmux")
    installed.install(*package)
    installed.wait_for_state("envmux.service", "active")
    assert "own" in installed.run("envmux servers").stdout
    assert installed.run("dpkg --verify envmux").stdout == ""
    move(installed, "again")


def is_bookkeeping(path):
    return any(path == known or path.startswith(known + "/") for known in BOOKKEEPING)


def test_purge_leaves_nothing(boot_machine, package):
    machine = boot_machine()
    before = machine.changes()
    machine.install(*package)
    machine.wait_for_state("envmux.service", "active")
    start_session(machine, "gone")
    machine.write("/etc/envmux/conf.d/own.json", '{"mcpServers": {}}')
    machine.run("dpkg --purge envmux")
    assert_nothing_left(machine)
    for folder in FOLDERS:
        assert not machine.exists(folder), folder
    for user in USERS:
        assert machine.run(["getent", "passwd", user], check=False).returncode != 0
        assert machine.run(["getent", "group", user], check=False).returncode != 0
    left = {path for path in machine.changes() - before if not is_bookkeeping(path)}
    # A folder of the host's in which something was counts as changed, too.
    assert not [path for path in left if "envmux" in path]
    assert not left or machine.run(["find", *left, "-maxdepth", "0", "-not", "-type", "d"]).stdout == ""
    assert machine.systemctl("is-system-running").stdout.strip() == "running"


def test_apt_installs_the_file_also_over_a_running_service(boot_machine, package):
    machine = boot_machine()
    for name in package:
        machine.copy(name, f"/var/tmp/{name.name}")
    # No lists of other packages: reading those takes most of the time.
    install = ["apt-get", "install", "--yes", "--reinstall", "-oDir::State::lists=/run/lists",
               "-oDir::Etc::sourcelist=/dev/null", "-oDir::Etc::sourceparts=/dev/null",
               *(f"/var/tmp/{name.name}" for name in package)]
    machine.run(install, env={"DEBIAN_FRONTEND": "noninteractive"})
    machine.wait_for_state("envmux.service", "active")
    load.configure(machine)
    with load.Load(machine) as running:
        machine.run(install, env={"DEBIAN_FRONTEND": "noninteractive"})
        running.round()
        report = running.stop()
    assert report.failures == [], report
