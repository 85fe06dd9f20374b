"""Pictures and pages about runs: learning curves, confusion tables, examples, HTML reports."""
