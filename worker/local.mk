# envmux-worker: one per session. Everything but main.c is a library, so that tests link what they test.
noinst_LIBRARIES += libworker.a
libworker_a_SOURCES = \
	worker/adopt.c worker/adopt.h \
	worker/asked.c worker/asked.h \
	worker/attach.c worker/attach.h \
	worker/backend.c worker/backend.h \
	worker/backlog.c worker/backlog.h \
	worker/batch.c worker/batch.h \
	worker/call.c worker/call.h \
	worker/carrier.c worker/carrier.h \
	worker/child.c worker/child.h \
	worker/client.c worker/client.h \
	worker/deliver.c \
	worker/door.c worker/door.h \
	worker/drain.c worker/drain.h \
	worker/event_store.c worker/event_store.h \
	worker/event_tail.c worker/event_tail.h \
	worker/exchange.c worker/exchange.h \
	worker/farewell.c worker/farewell.h \
	worker/forward.c \
	worker/handles.c worker/handles.h worker/handles_read.c \
	worker/handshake.c worker/handshake.h \
	worker/http_address.c worker/http_address.h \
	worker/http_adopt.c worker/http_adopt.h \
	worker/http_clients.c \
	worker/http_revive.c worker/http_revive.h \
	worker/http_endpoint.c worker/http_endpoint.h \
	worker/http_sse.c worker/http_sse.h \
	worker/http_tell.c worker/http_tell.h \
	worker/id_scan.c worker/id_scan.h \
	worker/idle.c worker/idle.h \
	worker/launch.c worker/launch.h \
	worker/life.c worker/life.h \
	worker/link.c worker/link.h \
	worker/listen.c worker/listen.h \
	worker/log_feed.c worker/log_feed.h \
	worker/journal_lines.c worker/journal_lines.h \
	worker/log_ring.c worker/log_ring.h \
	worker/memory.c worker/memory.h \
	worker/modern.h \
	worker/modern_check.c worker/modern_check.h \
	worker/modern_deliver.c \
	worker/modern_handles.c \
	worker/modern_header.c worker/modern_header.h \
	worker/modern_params.c worker/modern_params.h \
	worker/modern_placement.c worker/modern_placement.h \
	worker/modern_request.c \
	worker/modern_tools.c \
	worker/placement.c worker/placement.h \
	worker/post.c \
	worker/probe.c worker/probe.h \
	worker/port_hold.c worker/port_hold.h \
	worker/reaper.c worker/reaper.h \
	worker/relay.c worker/relay.h worker/relay_private.h \
	worker/relay_answer.c worker/relay_answered.c \
	worker/relay_events.c \
	worker/relay_initialize.c \
	worker/relay_redirect.c \
	worker/relay_single.c \
	worker/relay_request.c worker/relay_request.h \
	worker/revive.c worker/revive.h \
	worker/socket_owner.c worker/socket_owner.h \
	worker/spec.c worker/spec.h \
	worker/sse_clients.c worker/sse_clients.h \
	worker/sse_reader.c worker/sse_reader.h \
	worker/stdio_endpoint.h \
	worker/stdio_calls.c \
	worker/stdio_streams.c \
	worker/stdio_endpoint.c \
	worker/stdio_pipe.c worker/stdio_pipe.h \
	worker/stream.c worker/stream.h \
	worker/tool_list.c worker/tool_list.h \
	worker/waiting.c worker/waiting.h \
	worker/worker.c worker/worker.h

pkglibexec_PROGRAMS += envmux-worker
envmux_worker_SOURCES = worker/main.c
envmux_worker_LDADD = libworker.a $(COMMON_LIBS) $(JSONC_LIBS)
