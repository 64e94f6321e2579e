# Man pages, shell completion, units, configuration: what an installation has beside its programs.

dist_man_MANS += \
	packaging/man/envmux.1 \
	packaging/man/envmux.json.5 \
	packaging/man/envmux.service.8 packaging/man/envmux.socket.8 \
	packaging/man/envmux-sessions.service.8 packaging/man/envmux.slice.8 \
	packaging/man/envmux-hold.8 \
	packaging/man/envmux-router.8 \
	packaging/man/envmux-supervisor.8 \
	packaging/man/envmux-worker.8 \
	packaging/man/frozen-lake.8

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = packaging/completion/envmux.bash

dist_systemdsystemunit_DATA = packaging/systemd/envmux.slice packaging/systemd/envmux.socket
nodist_systemdsystemunit_DATA = packaging/systemd/envmux.service packaging/systemd/envmux-sessions.service
EXTRA_DIST += packaging/systemd/envmux.service.in packaging/systemd/envmux-sessions.service.in
CLEANFILES += $(nodist_systemdsystemunit_DATA)
packaging/systemd/%.service: packaging/systemd/%.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@pkgsysconfdir[@]|$(pkgsysconfdir)|g' $< >$@.tmp && mv $@.tmp $@

catalogdir = $(prefix)/lib/systemd/catalog
dist_catalog_DATA = packaging/catalog/envmux.catalog

dist_sysusers_DATA = packaging/sysusers.d/envmux.conf
dist_tmpfiles_DATA = packaging/tmpfiles.d/envmux.conf

# An administrator's files: the Debian package keeps them as such; make install does not overwrite them.
pkgsysconfdir = $(sysconfdir)/envmux
EXTRA_DIST += packaging/etc/envmux.json packaging/etc/conf.d/README
install-data-local:
	$(MKDIR_P) $(DESTDIR)$(pkgsysconfdir)/conf.d
	test -e $(DESTDIR)$(pkgsysconfdir)/envmux.json || \
		$(INSTALL_DATA) $(srcdir)/packaging/etc/envmux.json $(DESTDIR)$(pkgsysconfdir)/envmux.json
	$(INSTALL_DATA) $(srcdir)/packaging/etc/conf.d/README $(DESTDIR)$(pkgsysconfdir)/conf.d/README
# What was changed stays; what is as it came goes.
uninstall-local:
	rm -f $(DESTDIR)$(pkgsysconfdir)/conf.d/README
	! cmp -s $(srcdir)/packaging/etc/envmux.json $(DESTDIR)$(pkgsysconfdir)/envmux.json || \
		rm -f $(DESTDIR)$(pkgsysconfdir)/envmux.json

# Folders of this tree alone; only an installation in /usr is found by the host's systemd.
AM_DISTCHECK_CONFIGURE_FLAGS = --enable-werror
