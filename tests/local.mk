# Unit tests (cmocka) and fuzz targets run in `make check`; end-to-end tests are run by ./dev test.
if HAVE_CMOCKA
include tests/unit/local.mk
endif
include tests/fuzz/local.mk
include tests/bench/local.mk

TESTS += tests/check-includes.sh
EXTRA_DIST += tests/check-includes.sh tests/count-results.py dev
