"""The preflight rules: manifests in, findings out; plain Python that loads no jsii."""
