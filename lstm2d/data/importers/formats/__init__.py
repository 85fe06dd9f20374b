"""Files of others: annotations, tables of colours, matrices, masks, outlines."""
