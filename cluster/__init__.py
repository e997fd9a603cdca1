"""The Pulumi program: cluster, DNS, Helm releases, outputs."""
