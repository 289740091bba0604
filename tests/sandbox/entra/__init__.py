"""Tests of the stand-in for Entra ID and Graph."""
