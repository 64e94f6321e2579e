# The `envmux` command.
bin_PROGRAMS += envmux
envmux_SOURCES = \
	ctl/check.c \
	ctl/commands.def \
	ctl/ctl.h \
	ctl/libexec.c ctl/libexec.h \
	ctl/main.c \
	ctl/options.c
envmux_LDADD = $(COMMON_LIBS) $(JSONC_LIBS)
