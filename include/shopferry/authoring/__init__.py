"""What helps the author of a route before anything moves: check its files, try a mapping, run its cases, draft a new route."""
