"""Print the README with absolute links: an index of packages shows it without the files beside it.

    python packaging/absolute_links.py https://example.org/interlace/blob/v0.1.0 https://example.org/interlace/raw/v0.1.0

The first address is that of pages, the second that of pictures.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def absolute(text: str, *, pages: str, pictures: str) -> str:
    """Links ``](path)`` and pictures ``src="path"`` and ``![...](path)`` with the addresses before them."""
    text = re.sub(r'(src=")(?!https?:)([^"]+)', rf"\g<1>{pictures}/\2", text)
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)([^)\s]+)", rf"\g<1>{pictures}/\2", text)
    return re.sub(r"(?<!\!)(\[[^\]]*\]\()(?!https?:|#)([^)\s]+)", rf"\g<1>{pages}/\2", text)


if __name__ == "__main__":
    print(absolute(README.read_text(encoding="utf-8"), pages=sys.argv[1], pictures=sys.argv[2]), end="")
