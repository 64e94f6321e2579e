UNIT_LIBS = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-ipc
tests_unit_test_ipc_SOURCES = tests/unit/test-ipc.c
tests_unit_test_ipc_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test-template
tests_unit_test_template_SOURCES = tests/unit/test-template.c
tests_unit_test_template_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test-spawn
tests_unit_test_spawn_SOURCES = tests/unit/test-spawn.c
tests_unit_test_spawn_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-tracking
tests_unit_test_tracking_SOURCES = tests/unit/test-tracking.c
tests_unit_test_tracking_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-process-tree
tests_unit_test_process_tree_SOURCES = tests/unit/test-process-tree.c
tests_unit_test_process_tree_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test-workspace
tests_unit_test_workspace_SOURCES = tests/unit/test-workspace.c
tests_unit_test_workspace_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-json-scan tests/unit/test-json-writer tests/unit/test-jsonrpc \
	tests/unit/test-identity tests/unit/test-reason tests/unit/test-mcp tests/unit/test-handle
tests_unit_test_mcp_SOURCES = tests/unit/test-mcp.c
tests_unit_test_mcp_LDADD = $(UNIT_LIBS)
tests_unit_test_handle_SOURCES = tests/unit/test-handle.c
tests_unit_test_handle_LDADD = $(UNIT_LIBS)
tests_unit_test_json_scan_SOURCES = tests/unit/test-json-scan.c
tests_unit_test_json_scan_LDADD = $(UNIT_LIBS)
tests_unit_test_json_writer_SOURCES = tests/unit/test-json-writer.c
tests_unit_test_json_writer_LDADD = $(UNIT_LIBS)
tests_unit_test_jsonrpc_SOURCES = tests/unit/test-jsonrpc.c
tests_unit_test_jsonrpc_LDADD = $(UNIT_LIBS)
tests_unit_test_identity_SOURCES = tests/unit/test-identity.c
tests_unit_test_identity_LDADD = $(UNIT_LIBS)
tests_unit_test_reason_SOURCES = tests/unit/test-reason.c
tests_unit_test_reason_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test-record
tests_unit_test_record_SOURCES = tests/unit/test-record.c
tests_unit_test_record_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-notice
tests_unit_test_notice_SOURCES = tests/unit/test-notice.c ctl/notice.c
tests_unit_test_notice_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test-varlink
tests_unit_test_varlink_SOURCES = tests/unit/test-varlink.c tests/unit/varlink-service.c tests/unit/varlink-service.h
tests_unit_test_varlink_LDADD = $(UNIT_LIBS) $(JSONC_LIBS)

check_PROGRAMS += tests/unit/test-varlink-limits
tests_unit_test_varlink_limits_SOURCES = \
	tests/unit/test-varlink-limits.c tests/unit/varlink-service.c tests/unit/varlink-service.h
tests_unit_test_varlink_limits_LDADD = $(UNIT_LIBS) $(JSONC_LIBS)

check_PROGRAMS += tests/unit/test-frozen-lake
tests_unit_test_frozen_lake_SOURCES = tests/unit/test-frozen-lake.c
tests_unit_test_frozen_lake_LDADD = libfrozenlake.a $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test-http-client tests/unit/test-http-conn tests/unit/test-http-flow \
	tests/unit/test-http-head tests/unit/test-http-parse tests/unit/test-target
HTTP_SIDE = tests/unit/http-side.c tests/unit/http-side.h
tests_unit_test_http_client_SOURCES = tests/unit/test-http-client.c $(HTTP_SIDE)
tests_unit_test_http_client_LDADD = $(UNIT_LIBS)
tests_unit_test_http_conn_SOURCES = tests/unit/test-http-conn.c $(HTTP_SIDE)
tests_unit_test_http_conn_LDADD = $(UNIT_LIBS)
tests_unit_test_http_flow_SOURCES = tests/unit/test-http-flow.c $(HTTP_SIDE)
tests_unit_test_http_flow_LDADD = $(UNIT_LIBS)
tests_unit_test_http_head_SOURCES = tests/unit/test-http-head.c
tests_unit_test_http_head_LDADD = $(UNIT_LIBS)
tests_unit_test_http_parse_SOURCES = tests/unit/test-http-parse.c
tests_unit_test_http_parse_LDADD = $(UNIT_LIBS)
tests_unit_test_target_SOURCES = tests/unit/test-target.c
tests_unit_test_target_LDADD = $(UNIT_LIBS)
CONFIG_FIXTURE = tests/unit/config-fixture.c tests/unit/config-fixture.h

check_PROGRAMS += tests/unit/test-config
tests_unit_test_config_SOURCES = tests/unit/test-config.c $(CONFIG_FIXTURE)
tests_unit_test_config_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-config-cases
tests_unit_test_config_cases_SOURCES = tests/unit/test-config-cases.c $(CONFIG_FIXTURE)
tests_unit_test_config_cases_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
EXTRA_DIST += tests/unit/config-cases.txt

check_PROGRAMS += tests/unit/test-config-sources
tests_unit_test_config_sources_SOURCES = tests/unit/test-config-sources.c $(CONFIG_FIXTURE)
tests_unit_test_config_sources_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-former
tests_unit_test_former_SOURCES = tests/unit/test-former.c $(CONFIG_FIXTURE)
tests_unit_test_former_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-config-parts
tests_unit_test_config_parts_SOURCES = tests/unit/test-config-parts.c $(CONFIG_FIXTURE)
tests_unit_test_config_parts_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test-call
tests_unit_test_call_SOURCES = tests/unit/test-call.c ctl/call_values.c ctl/fetch.c ctl/mcp.c ctl/options.c
tests_unit_test_call_LDADD = $(UNIT_LIBS)

WORKER_LIBS = libworker.a $(COMMON_LIBS) $(JSONC_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test-event-tail tests/unit/test-id-scan tests/unit/test-sse-reader
tests_unit_test_sse_reader_SOURCES = tests/unit/test-sse-reader.c
tests_unit_test_sse_reader_LDADD = $(WORKER_LIBS)
check_PROGRAMS += tests/unit/test-event-store
tests_unit_test_event_store_SOURCES = tests/unit/test-event-store.c
tests_unit_test_event_store_LDADD = $(WORKER_LIBS)
check_PROGRAMS += tests/unit/test-event-tail tests/unit/test-id-scan
tests_unit_test_event_tail_SOURCES = tests/unit/test-event-tail.c
tests_unit_test_event_tail_LDADD = $(WORKER_LIBS)
tests_unit_test_id_scan_SOURCES = tests/unit/test-id-scan.c
tests_unit_test_id_scan_LDADD = $(WORKER_LIBS)
check_PROGRAMS += tests/unit/test-log-ring tests/unit/test-modern tests/unit/test-placement tests/unit/test-stdio-pipe \
	tests/unit/test-worker-spec
tests_unit_test_log_ring_SOURCES = tests/unit/test-log-ring.c
tests_unit_test_log_ring_LDADD = $(WORKER_LIBS)
tests_unit_test_modern_SOURCES = tests/unit/test-modern.c
tests_unit_test_modern_LDADD = $(WORKER_LIBS)
tests_unit_test_placement_SOURCES = tests/unit/test-placement.c
tests_unit_test_placement_LDADD = $(WORKER_LIBS)
tests_unit_test_stdio_pipe_SOURCES = tests/unit/test-stdio-pipe.c
tests_unit_test_stdio_pipe_LDADD = $(WORKER_LIBS)
tests_unit_test_worker_spec_SOURCES = tests/unit/test-worker-spec.c
tests_unit_test_worker_spec_LDADD = $(WORKER_LIBS)

check_PROGRAMS += tests/unit/test-route tests/unit/test-key tests/unit/test-guard tests/unit/test-table \
	tests/unit/test-resolver tests/unit/test-body
tests_unit_test_body_SOURCES = tests/unit/test-body.c
tests_unit_test_body_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test-route tests/unit/test-key tests/unit/test-guard tests/unit/test-cors tests/unit/test-table \
	tests/unit/test-resolver
tests_unit_test_route_SOURCES = tests/unit/test-route.c
tests_unit_test_route_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_key_SOURCES = tests/unit/test-key.c
tests_unit_test_key_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cors_SOURCES = tests/unit/test-cors.c
tests_unit_test_cors_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_guard_SOURCES = tests/unit/test-guard.c
tests_unit_test_guard_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_table_SOURCES = tests/unit/test-table.c
tests_unit_test_table_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_resolver_SOURCES = tests/unit/test-resolver.c
tests_unit_test_resolver_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test-socket-owner
tests_unit_test_socket_owner_SOURCES = tests/unit/test-socket-owner.c
tests_unit_test_socket_owner_LDADD = libworker.a $(COMMON_LIBS) $(CMOCKA_LIBS)
SUPERVISOR_FIXTURE = tests/unit/supervisor-fixture.c tests/unit/supervisor-fixture.h
check_PROGRAMS += tests/unit/test-session-fsm tests/unit/test-session-table tests/unit/test-admission \
	tests/unit/test-session-json tests/unit/test-era
tests_unit_test_era_SOURCES = tests/unit/test-era.c $(SUPERVISOR_FIXTURE)
tests_unit_test_era_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
tests_unit_test_session_fsm_SOURCES = tests/unit/test-session-fsm.c $(SUPERVISOR_FIXTURE)
tests_unit_test_session_fsm_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
tests_unit_test_session_table_SOURCES = tests/unit/test-session-table.c $(SUPERVISOR_FIXTURE)
tests_unit_test_session_table_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
tests_unit_test_admission_SOURCES = tests/unit/test-admission.c $(SUPERVISOR_FIXTURE)
tests_unit_test_admission_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
tests_unit_test_session_json_SOURCES = tests/unit/test-session-json.c $(SUPERVISOR_FIXTURE)
tests_unit_test_session_json_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-rebuild
tests_unit_test_rebuild_SOURCES = tests/unit/test-rebuild.c $(SUPERVISOR_FIXTURE)
tests_unit_test_rebuild_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-control
tests_unit_test_control_SOURCES = tests/unit/test-control.c
tests_unit_test_control_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-probe
tests_unit_test_probe_SOURCES = tests/unit/test-probe.c
tests_unit_test_probe_LDADD = libworker.a $(COMMON_LIBS) $(JSONC_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-limits
tests_unit_test_limits_SOURCES = tests/unit/test-limits.c
tests_unit_test_limits_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test-sandbox
tests_unit_test_sandbox_SOURCES = tests/unit/test-sandbox.c
tests_unit_test_sandbox_LDADD = $(ROUTER_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test-memory
tests_unit_test_memory_SOURCES = tests/unit/test-memory.c
tests_unit_test_memory_LDADD = libworker.a libsupervisor.a $(COMMON_LIBS) $(JSONC_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test-journal
tests_unit_test_journal_SOURCES = tests/unit/test-journal.c
tests_unit_test_journal_LDADD = $(UNIT_LIBS)
