"""A DICOM node: pictures come in over the hospital's network, answers go back."""
