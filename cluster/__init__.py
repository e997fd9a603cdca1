"""The Pulumi program: cluster, DNS records, base Helm releases, and nothing else."""
