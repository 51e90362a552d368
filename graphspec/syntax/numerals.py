"""The shortest way to write a number, in the style in which it was written."""

from __future__ import annotations

from decimal import Decimal


def shortest(text: str) -> str:
    """The shortest numeral that reads as the same double: with a point or an exponent where `text` has them.

    >>> shortest("0.10000000149011612"), shortest("2.50E+03"), shortest("1.0"), shortest("007")
    ('0.10000000149011612', '2.5e3', '1.0', '7')
    """
    if text.isdigit():
        return text.lstrip("0") or "0"
    mantissa, _, exponent = text.lower().partition("e")
    power = int(exponent or "0")
    value = float(text)
    digits = f"{Decimal(repr(value)).scaleb(-power):f}" if value else "0"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    if "." in mantissa and "." not in digits:
        digits += ".0"
    short = f"{digits}e{power}" if exponent else digits
    return short if len(short) <= len(text) and float(short) == value else text
