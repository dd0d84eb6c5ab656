"""The characters that Unicode wants to be ignored where they cannot be displayed.

They are invisible, such as the soft hyphen, zero-width spaces and joiners, directional marks,
variation selectors, Hangul fillers and tags; some are not assigned yet. The ranges are those of the
property Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties.txt, whose licence is in
NOTICE. The versions 14.0 to 17.0 of Unicode have the same ones.
"""

from typing import Final

UNICODE_VERSION: Final = "17.0.0"

# First and last code point.
RANGES: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
