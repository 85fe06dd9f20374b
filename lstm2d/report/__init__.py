"""Pictures and pages: learning curves, confusion tables, examples, HTML reports of runs; feature maps."""
