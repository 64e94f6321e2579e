# The supervisor: everything but main() is a library, so that unit tests link it.
noinst_LIBRARIES += libsupervisor.a
libsupervisor_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
libsupervisor_a_SOURCES = \
	supervisor/cgroup.c supervisor/cgroup.h \
	supervisor/notify.c supervisor/notify.h \
	supervisor/process_tree.c supervisor/process_tree.h \
	supervisor/record.c supervisor/record.h \
	supervisor/spawn.c supervisor/spawn.h \
	supervisor/tracking.c supervisor/tracking.h \
	supervisor/workspace.c supervisor/workspace.h

SUPERVISOR_LIBS = libsupervisor.a $(COMMON_LIBS) $(JSONC_LIBS) $(SYSTEMD_LIBS)
