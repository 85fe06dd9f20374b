"""Names in CSV files."""

# what a spreadsheet takes for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(cell: str) -> str:
    """Return a name so that no spreadsheet runs it: with an apostrophe before what looks like a formula.

    Parameters
    ----------
    cell : str
        The name.

    Returns
    -------
    str
        Different for different names: apostrophes before a formula get one more.
    """
    return "'" + cell if cell.lstrip("'").startswith(_FORMULA) else cell


def csv_name(text: str) -> str:
    """Return the name of which `csv_text` made a text.

    Parameters
    ----------
    text : str
        A cell.

    Returns
    -------
    str
        The name.
    """
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text
