"""A value of each kind, by column of the tables in routes/values/legacy.sql."""

from __future__ import annotations

# Every character PostgreSQL can hold of the first plane, and some of each other plane.
PLANES = "".join(chr(n) for n in range(1, 0x10000) if not 0xD800 <= n < 0xE000)
PLANES += "".join(chr((plane << 16) + n) for plane in range(1, 17) for n in (0, 0x41, 0xF600, 0xFFFD))

CARRIED: dict[str, dict[str, object]] = {
    "nothing": {},
    "ordinary": {
        "small": -5, "big": 2**63 - 1, "single": 1.1, "dbl": 0.1, "exact": "1.100", "wide": "1" * 30 + ".0123456789",
        "flag": True, "words": "abc", "short": "x", "padded": "ab", "folded": "CiTe", "day": "2020-01-02",
        "at": "2020-01-02 03:04:05.123456", "at3": "2020-01-02 03:04:05.12", "at_tz": "2020-01-02 03:04:05.1+02",
        "hour": "03:04:05.123456", "hour3": "03:04:05.1", "number": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "raw": r"\xdeadbeef00", "doc": '{"a": 1,  "a":"\\u00e9\\n"}', "docb": '{"b": [1, 2.50, null, "\\"x"]}',
        "host": "10.0.0.1/24", "net": "10.0.0.0/8", "card": "08:00:2b:01:02:03", "feeling": "so so", "cost": "1.5",
        "born": "1980-02-29",
    },
    "infinity": {
        "day": "infinity", "at": "infinity", "at3": "-infinity", "at_tz": "infinity", "born": "-infinity",
        "exact": "Infinity", "single": "Infinity", "dbl": "-Infinity",
    },
    "minus infinity": {"day": "-infinity", "at": "-infinity", "at_tz": "-infinity", "exact": "-Infinity"},
    "not a number": {"exact": "NaN", "wide": "NaN", "single": "NaN", "dbl": "NaN"},
    "before our era": {"day": "0044-03-15 BC", "at": "0044-03-15 01:02:03 BC", "at_tz": "0001-12-31 23:59:59.5+00 BC"},
    # Of these each alone: one value that is told apart has the whole row read again.
    "a day of the year 1 before": {"day": "0001-06-15 BC"},
    "a birth in the year 1 before": {"born": "0001-06-15 BC"},
    "a moment of the year 1 before": {"at": "0001-06-15 01:02:03 BC"},
    "an instant of the year 1 before": {"at_tz": "0001-06-15 01:02:03+00 BC"},
    "the first day": {"day": "4714-11-24 BC", "at": "4714-11-24 00:00 BC", "at_tz": "4714-11-24 00:00+00 BC"},
    "the last day": {
        "day": "5874897-12-31", "at": "294276-12-31 23:59:59.999999", "at_tz": "294276-12-31 23:59:59.999999+00",
    },
    "five digits": {"day": "12020-01-02", "at": "12020-01-02 00:00", "at_tz": "12020-01-02 00:00", "born": "10000-01-01"},
    "before 1582": {"day": "1582-10-10", "at": "1500-02-28 01:00", "at_tz": "1883-11-18 12:00:00", "born": "0001-01-01"},
    "the end of a day": {"hour": "24:00", "hour3": "24:00"},
    "midnight": {"hour": "00:00", "hour3": "00:00", "at": "2020-01-02 00:00", "at_tz": "2020-01-02 00:00+00"},
    "small numbers": {"exact": "1e-20", "dbl": "-0", "single": "1e-45", "wide": "0", "small": 0},
    "large numbers": {
        "exact": "9" * 40 + ".000", "dbl": "1.7976931348623157e308", "single": "3.4028235e38", "wide": "9" * 30,
        "big": -(2**63), "small": 32767,
    },
    "forty digits": {"exact": "-1234567890123456789012345678901234567890"},
    "five hundred digits": {"exact": "7" * 500 + "." + "3" * 500},
    "money back": {"exact": "-10.50", "words": "-2020-01-01", "short": "+48 601 000 001"},
    "looks like it": {"words": "24:00:00Z", "short": "00:00:00Z", "doc": '"POSITIVE_INFINITY"', "folded": "NaN"},
    "speaks of it": {"words": 'see "__debezium_unavailable_value" here', "short": "__debezium_unavailable_value!"},
    "empty": {"words": "", "short": "", "padded": "", "folded": "", "raw": r"\x", "doc": "{}", "docb": "[]"},
    "null in JSON": {"doc": "null", "docb": "null"},
    "scalars in JSON": {"doc": ' "a text" ', "docb": "12345678901234567890.10"},
    "escapes": {"words": "a\t\r\n\b\f\"\\/' \u2028\u2029\x01\x7f{}[],:", "short": '\\"', "docb": '{"\\\\": "\\u2028"}'},
    "all planes": {"words": PLANES, "folded": PLANES[300:3000]},
    "a megabyte": {"words": "Zażółć gęślą jaźń 😀 " * 40_000},
    "a megabyte of bytes": {"raw": "\\x" + "00ff7f80" * 250_000},
}  # fmt: skip

LOSSY: dict[str, dict[str, object]] = {
    "nothing": {},
    "ordinary": {
        "hour_tz": "03:04:05.123456+02", "span": "1 year 2 mons -3 days 04:05:06.789", "bit1": "1", "bit12": "101010101010",
        "bits": "101", "cash": "1234.50", "numbers": "{1,NULL,3}", "words": '{a,NULL,"NULL","x,y","q\\"\\\\"}',
        "days": "{2020-01-01,infinity,0044-03-15 BC}", "amounts": "{1.10,NaN,-0.5}", "feelings": '{good,"so so"}',
        "tags": 'a=>1, b=>NULL, "c d"=>"{}"', "duo": '(1,"x, y")', "many": '{"(1,a)","(,)"}', "fro": "[1,5)",
        "place": "(1.5,-2)", "label": "nm", "letter": "q", "search": "'a':1 'b'", "words2": "z",
    },
    "nested": {"numbers": "{{1,2},{3,NULL}}", "words": '{{a,b},{"",NULL}}', "amounts": "{{{1}},{{2.50}}}"},
    "bounds": {"numbers": "[0:2]={1,2,3}", "days": "[-1:0]={2020-01-01,-infinity}"},
    "empty arrays": {"numbers": "{}", "words": "{}", "many": "{}"},
    "spans": {"span": "-178000000 years", "hour_tz": "24:00+00", "bits": "", "cash": "-92233720368547758.08"},
    "seconds": {"span": "1.000001 seconds", "hour_tz": "00:00:00-15:59", "bit1": "0", "bit12": "000000000001"},
    "months are no days": {"span": "1 mon"},
    "infinite spans": {"span": "infinity", "fro": "(,)"},
    "planes": {"words2": PLANES[:20_000], "duo": '(1,"😀")', "tags": '"ż"=>"ó"'},
}  # fmt: skip
