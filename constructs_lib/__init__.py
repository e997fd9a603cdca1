"""Typed cdk8s constructs for a framework's site: pure, knowing no environment, cluster, file or site."""
