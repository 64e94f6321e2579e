# The embedded backend and ready configurations.
pkglibexec_PROGRAMS += frozen-lake
noinst_LIBRARIES += libfrozenlake.a
libfrozenlake_a_SOURCES = \
	examples/frozen-lake/lake_game.c examples/frozen-lake/lake_game.h \
	examples/frozen-lake/lake_map.c examples/frozen-lake/lake_map.h \
	examples/frozen-lake/lake_mcp.c examples/frozen-lake/lake_mcp.h \
	examples/frozen-lake/mcp_stdio.c examples/frozen-lake/mcp_stdio.h \
	examples/frozen-lake/pcg64.c examples/frozen-lake/pcg64.h \
	examples/frozen-lake/seed_sequence.c examples/frozen-lake/seed_sequence.h
frozen_lake_SOURCES = examples/frozen-lake/main.c
frozen_lake_LDADD = libfrozenlake.a $(COMMON_LIBS)

exampledir = $(pkgdatadir)/examples
dist_example_DATA = \
	examples/everything-http.json \
	examples/everything-stdio.json \
	examples/filesystem.json \
	examples/frozen-lake-python.json \
	examples/frozen-lake.json
frozenlakedir = $(exampledir)/frozen-lake
dist_frozenlake_DATA = examples/frozen-lake/requirements.txt
dist_frozenlake_SCRIPTS = examples/frozen-lake/prepare.sh examples/frozen-lake/server.py

EXTRA_DIST += examples/demo.py
