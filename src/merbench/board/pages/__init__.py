"""The board and its runs as pages: one file each, nothing fetched, nothing run but a script that sorts and filters."""
