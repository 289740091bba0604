"""The outside world on one machine, simulated where it cannot be had; the product never imports it."""
