# The embedded backend and ready configurations.
EXTRA_DIST += examples/demo.py
