"""Checks: one question each about what mail needs, with an answer for a person (`result`)."""
