"""What the chaos runs share: the processes that are killed and frozen, what is left to read, progress."""
