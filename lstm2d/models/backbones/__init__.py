"""Published networks whose layers stand in front of others."""
