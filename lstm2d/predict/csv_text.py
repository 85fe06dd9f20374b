"""Names in CSV files."""

# a spreadsheet takes these for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(cell: str) -> str:
    """Return a name so that no spreadsheet runs it: an apostrophe is put before what looks like a formula.

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
    """Return the name that `csv_text` was given.

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
