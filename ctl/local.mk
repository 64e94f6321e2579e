# The `envmux` command.
bin_PROGRAMS += envmux
envmux_SOURCES = \
	ctl/call.c \
	ctl/call_print.c ctl/call_print.h \
	ctl/call_values.c ctl/call_values.h \
	ctl/check.c \
	ctl/client.c ctl/client.h \
	ctl/commands.def \
	ctl/ctl.h \
	ctl/descendants.c ctl/descendants.h \
	ctl/events.c \
	ctl/fetch.c ctl/fetch.h \
	ctl/fields.c ctl/fields.h \
	ctl/libexec.c ctl/libexec.h \
	ctl/logs.c \
	ctl/logs_journal.c ctl/logs_journal.h \
	ctl/main.c \
	ctl/mcp.c ctl/mcp.h \
	ctl/metrics.c \
	ctl/notice.c ctl/notice.h \
	ctl/options.c \
	ctl/ps.c \
	ctl/reload.c \
	ctl/run.c ctl/run.h \
	ctl/run_command.c ctl/run_config.c \
	ctl/run_folders.c \
	ctl/run_greeting.c \
	ctl/run_listen.c \
	ctl/run_routers.c \
	ctl/servers.c \
	ctl/show.c \
	ctl/stop.c \
	ctl/table.c ctl/table.h \
	ctl/top.c \
	ctl/usage.c ctl/usage.h \
	ctl/watch.c ctl/watch.h \
	ctl/watch_child.c ctl/watch_child.h
envmux_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
envmux_LDADD = $(COMMON_LIBS) $(JSONC_LIBS) $(SYSTEMD_LIBS)
