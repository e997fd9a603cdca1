"""What is run by hand, or by make, while the project is developed."""
