# Man pages, units, package files.
