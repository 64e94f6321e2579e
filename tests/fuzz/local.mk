# Fuzz targets; `make check` runs each over its committed corpus.
FUZZ_RUNNER = tests/fuzz/standalone.c tests/fuzz/fuzz.h

check_PROGRAMS += tests/fuzz/fuzz-json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz-json.c $(FUZZ_RUNNER)
tests_fuzz_fuzz_json_LDADD = $(COMMON_LIBS)
EXTRA_DIST += tests/fuzz/corpus

check_PROGRAMS += tests/fuzz/fuzz-http
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz-http.c $(FUZZ_RUNNER)
tests_fuzz_fuzz_http_LDADD = $(COMMON_LIBS)

check_PROGRAMS += tests/fuzz/fuzz-http-conn
tests_fuzz_fuzz_http_conn_SOURCES = tests/fuzz/fuzz-http-conn.c $(FUZZ_RUNNER)
tests_fuzz_fuzz_http_conn_LDADD = $(COMMON_LIBS)

check_PROGRAMS += tests/fuzz/fuzz-config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz-config.c $(FUZZ_RUNNER)
tests_fuzz_fuzz_config_LDADD = $(SUPERVISOR_LIBS)

check_PROGRAMS += tests/fuzz/fuzz-varlink
tests_fuzz_fuzz_varlink_SOURCES = tests/fuzz/fuzz-varlink.c $(FUZZ_RUNNER)
tests_fuzz_fuzz_varlink_LDADD = $(COMMON_LIBS) $(JSONC_LIBS)
