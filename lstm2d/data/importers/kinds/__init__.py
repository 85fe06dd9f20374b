"""One file for each kind of source: `recognise` and `open_source`."""
