"""Build the one offline file for the USB stick: `python -m installer build`."""
