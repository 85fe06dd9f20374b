"""Networks on images larger than memory: strip of rows by strip of rows, with the maps between on the disk."""
