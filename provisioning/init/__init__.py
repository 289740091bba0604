"""What a new stack is asked for."""
