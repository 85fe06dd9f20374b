"""Check a dataset folder: all findings in one report."""

from __future__ import annotations

from lstm2d.data.check.finding import KINDS, Finding, Kind, Report
from lstm2d.data.check.run import check

__all__ = ["KINDS", "Finding", "Kind", "Report", "check"]
