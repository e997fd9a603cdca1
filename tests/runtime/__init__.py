"""The real programs, as the synthesized manifests run them: nginx, PHP-FPM, PostgreSQL and Chromium from Debian.

Nothing here calls a function of the library but its constructs: configuration, commands, variables, mounts, ports,
probes and preStops are taken from manifests (:mod:`tests.runtime.sets`), and :mod:`tests.runtime.pods` runs them in
namespaces. As root, or as any user where user namespaces are allowed.
"""
