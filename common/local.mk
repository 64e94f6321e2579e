# What every process shares; knows no other folder.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/fd.c common/fd.h \
	common/failure.c common/reason.c common/reason.def common/reason.h \
	common/handle.c common/handle.h \
	common/identity.c common/identity.h common/identity_canonical.c \
	common/journal.c common/journal.h \
	common/json_scan.c common/json_scan.h common/json_string.c common/json_value.c \
	common/json_writer.c common/json_writer.h \
	common/jsonrpc.c common/jsonrpc.h \
	common/utf8.h \
	common/http/http.h \
	common/http/http_check.c common/http/http_check.h \
	common/http/http_conn.c common/http/http_conn_private.h \
	common/http/http_connect.c \
	common/http/http_deadline.c \
	common/http/http_head.c \
	common/http/http_listener.c \
	common/http/http_llhttp.h \
	common/http/http_out.c common/http/http_out.h \
	common/http/http_parse.c common/http/http_parse.h \
	common/http/http_receive.c \
	common/http/http_send.c \
	common/http/http_status.c \
	common/http/target.c common/http/target.h \
	common/ipc.c common/ipc.h common/ipc_messages.def \
	common/log.c common/log.h \
	common/macro.h \
	common/mcp.c common/mcp.h \
	common/nofile.c common/nofile.h \
	common/process_tree.c common/process_tree.h \
	common/event_reader.c common/event_reader.h \
	common/template.c common/template.h \
	common/time_text.c common/time_text.h \
	common/time_util.h \
	common/varlink.c common/varlink.h \
	common/varlink_call.c common/varlink_internal.h \
	common/varlink_client.c common/varlink_client.h \
	common/varlink_server.c common/varlink_server.h

COMMON_LIBS = libcommon.a $(LLHTTP_ARCHIVE) $(LLHTTP_LIBS) $(EVENT_LIBS) $(MD_LIBS)

# llhttp from the distribution's sources, where it is not packaged as a library.
LLHTTP_ARCHIVE =
if BUILD_LLHTTP
noinst_LIBRARIES += libllhttp.a
LLHTTP_ARCHIVE += libllhttp.a
nodist_libllhttp_a_SOURCES = llhttp_build/llhttp.c llhttp_build/api.c llhttp_build/http.c
# Version 8 is strict only when told so; 9 always is.
libllhttp_a_CFLAGS = -O2 -DLLHTTP_STRICT_MODE=1 $(LLHTTP_CFLAGS)
CLEANFILES += $(nodist_libllhttp_a_SOURCES)
llhttp_build/%.c: $(LLHTTP_SOURCE_DIR)/%.c
	$(AM_V_GEN)$(MKDIR_P) llhttp_build && cp $< $@
endif

# Interface descriptions of Varlink, each embedded as one C string.
BUILT_SOURCES += common/org.varlink.service.varlink.inc
EXTRA_DIST += common/org.varlink.service.varlink
CLEANFILES += common/org.varlink.service.varlink.inc
%.varlink.inc: %.varlink
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(SED) -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $< >$@.tmp && mv $@.tmp $@
