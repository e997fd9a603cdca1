"""The deploy engine and its command: it sees bundles and manifests, never constructs."""
