"""Shared helpers of the tests: stand-ins, builders and small servers."""
