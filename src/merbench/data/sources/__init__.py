"""One file per layout of a database on disk."""
