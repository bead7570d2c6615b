"""From fold files to rows and tables. No torch: the board opens on any laptop."""
