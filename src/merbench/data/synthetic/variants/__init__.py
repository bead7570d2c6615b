"""The layouts in which databases are handed out and kept beside the ones that are rendered into, with what is odd about them."""
