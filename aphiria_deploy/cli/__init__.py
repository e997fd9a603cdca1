"""The command ``aphiria-deploy``: options in, reports out, and nothing else."""
