"""Files: images, masks, model files, and writing that is never half done."""
