"""The way of the data: manifest, schemes, protocol, sources, store, data module."""
