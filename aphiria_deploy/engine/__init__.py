"""The deploy engine: what it plans, what it writes, what it waits for, what it remembers and what it takes away."""
