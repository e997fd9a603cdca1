"""Everything between a pull request and the command.

What is decided (a policy, an approval, a selection, a text) is decided by pure functions; one module speaks to GitHub.
"""
