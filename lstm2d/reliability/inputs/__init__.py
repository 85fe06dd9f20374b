"""Files that a careful program refuses, or reads with little memory."""
