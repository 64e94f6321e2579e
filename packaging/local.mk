# Man pages, units, package files.

dist_man_MANS += packaging/man/envmux-supervisor.8
dist_man_MANS += packaging/man/envmux.json.5
dist_man_MANS += packaging/man/envmux.1

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = packaging/completion/envmux.bash
