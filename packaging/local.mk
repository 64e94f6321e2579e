# Man pages, units, package files.

dist_man_MANS += packaging/man/envmux-supervisor.8
dist_man_MANS += packaging/man/envmux.json.5
