"""The figures of the questions chapter."""
