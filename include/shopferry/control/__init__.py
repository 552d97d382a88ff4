"""The control tables: what the migration knows of itself. Functions take the caller's connection and never commit."""
