"""Tools for those who work on this project; nothing here is installed, and nothing imports it but tests."""
