"""The deploy engine and its command: sees manifests, never constructs."""
