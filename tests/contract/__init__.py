"""The sandbox held to recordings of the real provider, and to behaviours that a real tenant shows."""
