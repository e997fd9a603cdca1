"""What passes from a site to the engine: one JSON document with a schema version and a content hash."""
