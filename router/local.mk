# envmux-router; everything but main is a library for the unit tests.
noinst_LIBRARIES += librouter.a
librouter_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
librouter_a_SOURCES = \
	router/answer.c router/answer.h \
	router/ask.c router/ask.h \
	router/body.c router/body.h \
	router/client.c router/client.h \
	router/cors.c router/cors.h \
	router/dormant.c router/dormant.h \
	router/exchange.c router/exchange.h router/exchange_find.c \
	router/forward.c router/forward.h \
	router/guard.c router/guard.h \
	router/hash.c router/hash.h \
	router/key.c router/key.h \
	router/link.c router/link.h \
	router/peek.c router/peek.h \
	router/resolver.c router/resolver.h \
	router/route.c router/route.h \
	router/router.c router/router.h \
	router/sandbox.c router/sandbox.h \
	router/servers.c router/servers.h \
	router/session_api.c router/session_api.h \
	router/sse.c router/sse.h \
	router/stateless.c router/stateless.h \
	router/table.c router/table.h \
	router/upstream.c router/upstream.h

pkglibexec_PROGRAMS += envmux-router
envmux_router_SOURCES = router/main.c
ROUTER_LIBS = librouter.a $(COMMON_LIBS) $(SECCOMP_LIBS)
envmux_router_LDADD = $(ROUTER_LIBS)
