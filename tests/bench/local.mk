# Measurements, built on demand: make tests/bench/bench-http && tests/bench/bench-http
EXTRA_PROGRAMS = tests/bench/bench-http
tests_bench_bench_http_SOURCES = tests/bench/bench-http.c
tests_bench_bench_http_LDADD = $(COMMON_LIBS)
CLEANFILES += $(EXTRA_PROGRAMS)
