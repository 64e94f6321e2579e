# Fuzz targets; `make check` runs each over its committed corpus.
FUZZ_RUNNER = tests/fuzz/standalone.c tests/fuzz/fuzz.h

check_PROGRAMS += tests/fuzz/fuzz-json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz-json.c $(FUZZ_RUNNER)
tests_fuzz_fuzz_json_LDADD = $(COMMON_LIBS)
EXTRA_DIST += tests/fuzz/corpus
