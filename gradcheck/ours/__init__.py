"""Our three networks as cases for the checker; not installed, lives in the clone."""
