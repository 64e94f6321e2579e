# The supervisor: everything but main() is a library, so that unit tests link it.
noinst_LIBRARIES += libsupervisor.a
libsupervisor_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
libsupervisor_a_SOURCES = \
	supervisor/account.c supervisor/account.h \
	supervisor/admission.c supervisor/admission.h \
	supervisor/cgroup.c supervisor/cgroup.h \
	supervisor/check.c supervisor/check.h \
	supervisor/child.c supervisor/child.h \
	supervisor/dormant.c supervisor/dormant.h \
	supervisor/config.c supervisor/config.h \
	supervisor/config_command.c supervisor/config_command.h \
	supervisor/config_duration.c supervisor/config_duration.h \
	supervisor/config_env.c supervisor/config_env.h \
	supervisor/config_file.c supervisor/config_file.h \
	supervisor/config_foreign.c supervisor/config_foreign.h \
	supervisor/config_hash.c supervisor/config_hash.h \
	supervisor/config_json_schema.c supervisor/config_json_schema.h \
	supervisor/config_limits.c supervisor/config_limits.h \
	supervisor/config_machine.c supervisor/config_machine.h \
	supervisor/config_range.c supervisor/config_range.h \
	supervisor/config_report.c supervisor/config_report.h \
	supervisor/config_schema.c supervisor/config_schema.h \
	supervisor/config_server.c supervisor/config_server.h \
	supervisor/config_server_check.c supervisor/config_server_check.h \
	supervisor/config_size.c supervisor/config_size.h \
	supervisor/config_sources.c supervisor/config_sources.h \
	supervisor/config_text.c supervisor/config_text.h \
	supervisor/config_texts.c supervisor/config_texts.h \
	supervisor/config_value.c supervisor/config_value.h \
	supervisor/control.c supervisor/control.h supervisor/control_internal.h \
	supervisor/control_find.c \
	supervisor/control_list.c \
	supervisor/control_logs.c \
	supervisor/control_methods.c \
	supervisor/control_reload.c \
	supervisor/control_monitor.c \
	supervisor/control_servers.c \
	supervisor/control_show.c \
	supervisor/control_stop.c \
	supervisor/control_usage.c \
	supervisor/environment.c supervisor/environment.h \
	supervisor/era.c supervisor/era.h \
	supervisor/folders.c supervisor/folders.h \
	supervisor/former.c supervisor/former.h \
	supervisor/janitor.c supervisor/janitor.h \
	supervisor/launch.c supervisor/launch.h \
	supervisor/lifecycle.c supervisor/lifecycle.h \
	supervisor/limits.c supervisor/limits.h \
	supervisor/notify.c supervisor/notify.h \
	supervisor/orderly_stop.c supervisor/orderly_stop.h \
	supervisor/peers.c supervisor/peers.h \
	supervisor/log_event.c supervisor/log_event.h supervisor/log_events.def \
	supervisor/prepare.c supervisor/prepare.h \
	supervisor/rebuild.c supervisor/rebuild.h \
	supervisor/record.c supervisor/record.h \
	supervisor/reload.c supervisor/reload.h \
	supervisor/resolve.c supervisor/resolve.h supervisor/resolve_internal.h \
	supervisor/resolve_answer.c \
	supervisor/resolve_era.c \
	supervisor/router.c supervisor/router.h \
	supervisor/router_files.c supervisor/router_files.h \
	supervisor/router_health.c supervisor/router_health.h \
	supervisor/router_push.c supervisor/router_push.h \
	supervisor/routers.c supervisor/routers.h \
	supervisor/session.c supervisor/session_table.c supervisor/session.h \
	supervisor/session_api.c supervisor/session_api.h \
	supervisor/session_fsm.c supervisor/session_fsm.h \
	supervisor/session_json.c supervisor/session_json.h \
	supervisor/session_limits.c supervisor/session_limits.h \
	supervisor/session_logs.c supervisor/session_logs.h \
	supervisor/session_settings.c supervisor/session_settings.h \
	supervisor/spawn.c supervisor/spawn.h \
	supervisor/status.c supervisor/status.h \
	supervisor/supervisor.c supervisor/supervisor.h \
	supervisor/tracking.c supervisor/tracking.h supervisor/tracking_internal.h \
	supervisor/tracking_cgroup.c \
	supervisor/tracking_limits.c \
	supervisor/tracking_tree.c \
	supervisor/usage.c supervisor/usage.h \
	supervisor/upgrade.c supervisor/upgrade.h \
	supervisor/users.c supervisor/users.h \
	supervisor/waiter.c supervisor/waiter.h \
	supervisor/worker_spec.c supervisor/worker_spec.h \
	supervisor/workers.c supervisor/workers.h \
	supervisor/workspace.c supervisor/workspace.h

SUPERVISOR_LIBS = libsupervisor.a $(COMMON_LIBS) $(JSONC_LIBS) $(SYSTEMD_LIBS)

BUILT_SOURCES += supervisor/io.envmux.Control.varlink.inc
EXTRA_DIST += supervisor/io.envmux.Control.varlink
CLEANFILES += supervisor/io.envmux.Control.varlink.inc

pkglibexec_PROGRAMS += envmux-supervisor
envmux_supervisor_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
envmux_supervisor_SOURCES = supervisor/main.c
envmux_supervisor_LDADD = $(SUPERVISOR_LIBS)

pkglibexec_PROGRAMS += envmux-hold
envmux_hold_SOURCES = supervisor/hold.c supervisor/cgroup.c supervisor/cgroup.h
envmux_hold_CFLAGS = $(AM_CFLAGS)
envmux_hold_LDADD = libcommon.a

# What editors check a configuration with, printed by the program that reads it.
if !CROSS_COMPILING
schemadir = $(pkgdatadir)
schema_DATA = supervisor/envmux.schema.json
CLEANFILES += supervisor/envmux.schema.json
supervisor/envmux.schema.json: envmux-supervisor$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) supervisor && ./envmux-supervisor --schema >$@.tmp && mv $@.tmp $@
endif
