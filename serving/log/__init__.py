"""The inference log: answered rows wait in a spool on disk until they are in a Delta table."""
