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

check_PROGRAMS += tests/unit/test-workspace
tests_unit_test_workspace_SOURCES = tests/unit/test-workspace.c
tests_unit_test_workspace_LDADD = $(SUPERVISOR_LIBS) $(CMOCKA_LIBS)
