"""Published layouts of images and masks, read and written as dataset folders."""
