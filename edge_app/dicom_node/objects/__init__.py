"""Answers as DICOM objects: each module makes one kind."""
