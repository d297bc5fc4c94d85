"""Fresh keys: UUIDs of version 7, which sort by the time they were made. [RFC 9562, section 5.7]"""

import os
import time

VERSION = 0x7 << 76
VARIANT = 0x2 << 62
RANDOM_A = 0xFFF << 64
RANDOM_B = (1 << 62) - 1


def fresh_key() -> str:
    """A key that nobody has used. The random part is the kernel's, so that a fork does not repeat it."""
    random = int.from_bytes(os.urandom(10))
    value = (time.time_ns() // 1_000_000) << 80 | VERSION | random & RANDOM_A | VARIANT | random & RANDOM_B
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
