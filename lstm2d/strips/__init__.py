"""Networks on images larger than memory: in strips of rows, with the maps between layers on the disk."""
