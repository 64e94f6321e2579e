# The embedded backend and ready configurations.
