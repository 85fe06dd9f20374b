"""Names in CSV files."""

# spreadsheets treat cells with these prefixes as formulas
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(cell: str) -> str:
    """Escape a name that a spreadsheet would treat as a formula, by a leading apostrophe.

    Parameters
    ----------
    cell : str
        The name.

    Returns
    -------
    str
        The escaped name; unique, as apostrophes before a formula are escaped too.
    """
    return "'" + cell if cell.lstrip("'").startswith(_FORMULA) else cell


def csv_name(text: str) -> str:
    """Return the original name; the inverse of `csv_text`.

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
