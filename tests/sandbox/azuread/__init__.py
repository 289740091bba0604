"""Tests of the stand-in for the azuread plugin."""
