"""MIMIC-CXR studies whose reading no general rule finds, as published in the MIMIC code repository."""

_UNDER_WRONG_HEADER = {
    "examination": "50743547 53356173 55157853 59215320 59363654",
    "history": "51491012",
    "indication": "50058765 51966317 54365831 54654948 55124749 57936451",
    "note": "56451190",
    "recommendations": "50913680 56482935 58157373 58375018 59067458 59087630 59768032",
    "technique": "50808053 53202765 59279892",
}
MISPLACED = {study: name for name, studies in _UNDER_WRONG_HEADER.items() for study in studies.split()}
"""Study → normalised name of the section that holds its reading."""

_WITHOUT_READING = "50798377 52035334 53071062 53607029 54168089 54231141 56724958 58235663"
SLICES = {
    "50196495": (59, 399),
    "50525523": (201, 349),
    "51410602": (47, 320),
    "52119491": (179, 454),
    "52648681": (292, 631),
    "52674888": (145, 296),
    "53182247": (59, 412),
    "53488209": (149, 475),
    "53514462": (73, 377),
    "54875119": (234, 988),
    "54986978": (59, 306),
    "55258338": (192, 568),
    "56412866": (522, 822),
    "56579911": (59, 218),
    "56760320": (219, 457),
    "57150433": (61, 394),
    "57564132": (233, 554),
    "59003148": (262, 505),
    "59330497": (140, 655),
    "59505494": (59, 450),
    "59562049": (158, 348),
    "59889364": (172, 453),
    "59982525": (313, 717),
} | dict.fromkeys(_WITHOUT_READING.split(), (0, 0))
"""Study → (first, last + 1) character of its reading in the report file; (0, 0) where it has none."""
