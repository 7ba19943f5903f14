"""Steps of the database's tables, never changed once released."""
