# The supervisor: everything but main() is a library, so that unit tests link it.
noinst_LIBRARIES += libsupervisor.a
libsupervisor_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
libsupervisor_a_SOURCES = \
	supervisor/cgroup.c supervisor/cgroup.h \
	supervisor/control.c supervisor/control.h supervisor/control_internal.h \
	supervisor/control_find.c \
	supervisor/control_logs.c \
	supervisor/control_methods.c \
	supervisor/control_monitor.c \
	supervisor/control_servers.c \
	supervisor/control_stop.c \
	supervisor/notify.c supervisor/notify.h \
	supervisor/process_tree.c supervisor/process_tree.h \
	supervisor/record.c supervisor/record.h \
	supervisor/spawn.c supervisor/spawn.h \
	supervisor/tracking.c supervisor/tracking.h \
	supervisor/workspace.c supervisor/workspace.h

SUPERVISOR_LIBS = libsupervisor.a $(COMMON_LIBS) $(JSONC_LIBS) $(SYSTEMD_LIBS)

BUILT_SOURCES += supervisor/io.envmux.Control.varlink.inc
EXTRA_DIST += supervisor/io.envmux.Control.varlink
CLEANFILES += supervisor/io.envmux.Control.varlink.inc
