"""Names in CSV files."""

# what a spreadsheet takes for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(cell: str) -> str:
    """Return a name so that no spreadsheet runs it: with an apostrophe before what looks like a formula."""
    return "'" + cell if cell.startswith(_FORMULA) else cell
