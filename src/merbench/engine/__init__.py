"""From a request to fold files."""
