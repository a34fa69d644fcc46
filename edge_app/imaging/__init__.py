"""Bytes to picture to tensor."""
