"""Values that are not the same, and that `=`, a reader or a setting of the server may take for the same."""

from __future__ import annotations

# By table and column of the route `values`.
ALIKE: dict[str, dict[str, list[tuple[str | None, str | None]]]] = {
    "carried": {
        "single": [("0", "-0"), ("NaN", None), ("0.1", "0.10000001")],
        "dbl": [("0", "-0"), ("NaN", "Infinity"), ("0.3", "0.30000000000000004")],
        "exact": [("1.10", "1.1"), ("NaN", None), ("0", "0.00"), ("1e-20", "0")],
        "words": [
            ("", None),
            ("a", "a "),
            ("a", "A"),
            ("zażółć", "zaz\u0307o\u0301ł\u0107"),
            ("\u00e9", "e\u0301"),
            ("ß", "ss"),
            ("straße", "strasse"),
            ("a\u00adb", "ab"),
            ("1\n", "1"),
            ("NULL", None),
            (",", ""),
            ('"', '""'),
        ],
        "short": [("", None), ("x", "x ")],
        "folded": [("CiTe", "cite")],
        "padded": [("", None), ("a", "A")],
        "day": [("infinity", None), ("2020-01-02", "2020-02-01"), ("0044-03-15 BC", "0044-03-15")],
        "at": [("2020-01-02 03:04:05.000001", "2020-01-02 03:04:05"), ("infinity", "-infinity")],
        "at_tz": [("2020-07-01 12:00+00", "2020-07-01 12:00+02"), ("2020-10-25 02:30+02", "2020-10-25 02:30+01")],
        "hour": [("24:00", "00:00")],
        "docb": [('{"a": 2.50}', '{"a": 2.5}'), ("null", None), ("[]", "{}"), ('"1"', "1")],
        "doc": [('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'), ('{"a":1}', '{"a": 1}'), ("null", None)],
        "raw": [("\\x", None), ("\\x00", "\\x")],
        "flag": [("false", None)],
        "host": [("10.0.0.1/32", "10.0.0.1/24")],
    },
    "lossy": {
        "hour_tz": [("03:00+02", "02:00+01")],
        "span": [("1 day", "24:00:00"), ("1 mon", "30 days"), ("0", None)],
        "bits": [("1", "10"), ("", None)],
        "numbers": [("{1}", "[0:0]={1}"), ("{}", None), ("{NULL}", "{}")],
        "words": [('{"NULL"}', "{NULL}"), ('{""}', "{NULL}"), ('{"a,b"}', "{a,b}")],
        "amounts": [("{1.10}", "{1.1}"), ("{NaN}", "{NULL}")],
        "cash": [("0", None), ("1234.50", "1234.5")],
    },
}
