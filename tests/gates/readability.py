# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How easy the documentation is to read: the Flesch-Kincaid grade of each page, and its sentences that are too long.

Headings, code blocks, tables and Chinese pages are left out. Inline code counts as one short word. Syllables are estimated by groups of
vowels, which is right for nine words of ten. Run it by `make prose`, or `python tests/gates/readability.py PAGE …`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.pages import MARKDOWN_BLOCK, PAGES, ROOT, RST_BLOCK

MOST_WORDS = 30  # of a sentence
HIGHEST_GRADE = 9.0
ENGLISH = [page for page in PAGES if not re.search(r"_zh\.rst|zh-CN", page.name)]

CODE = " code "
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9'.,/_-]*")
# A sentence ends at one of these, with a space behind it. An abbreviation such as "e.g." is not used in this project.
END = re.compile(r"[.!?]+[)\"*]*(?=\s|$)")


def paragraphs(page: Path) -> list[str]:
    """The running text: each paragraph and each item of a list by itself."""
    text = page.read_text(encoding="utf-8")
    text = _of_rst(text) if page.suffix == ".rst" else _of_markdown(text)
    text = re.sub(r"^ *(?:[*-]|\d+\.) +", "\n", text, flags=re.M).replace("*", "")
    joined = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [part for part in joined if WORD.search(part)]


def _of_rst(text: str) -> str:
    text = RST_BLOCK.sub("\n", text)
    # Directives with their content: tables, pictures, toctrees; and comments, labels.
    text = re.sub(r"^( *)\.\.(?: .*)?\n(?:\1 +.*\n|\s*\n(?=\1 +))*", "\n", text, flags=re.M)
    text = re.sub(r"^.*\n([=^\"-])\1{2,}\n", "\n", text, flags=re.M)
    text = re.sub(r"^:[^:\n]+: ", "\n\n", text, flags=re.M)
    text = re.sub(r"(?::\w+:)?`([^`<]+) <[^`]*>`_*", r"\1", text)
    text = re.sub(r":\w+:`[^`]*`", CODE, text)
    return re.sub(r"``[^`]+``", CODE, text)


def _of_markdown(text: str) -> str:
    text = MARKDOWN_BLOCK.sub("\n", text)
    text = re.sub(r"^( *\|.*|#.*|<!--.*-->|!\[.*)$", "", text, flags=re.M)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`[^`]+`", CODE, text)


def sentences(page: Path) -> list[list[str]]:
    """Each as its words."""
    found = [WORD.findall(sentence) for part in paragraphs(page) for sentence in END.split(part)]
    return [words for words in found if words]


def syllables(word: str) -> int:
    word = re.sub(r"[^a-z]", "", word.lower())
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = re.search(r"[^aeiouyl]e[ds]?$|[^aeiouyl]le?s$", word) and not re.search(r"[td]ed$|[sxz]es$|[cg]es$|[cs]hes$", word)
    return max(groups - bool(silent), 1)


def grade(page: Path) -> float:
    """The school grade of Flesch and Kincaid."""
    found = sentences(page)
    words = [word for sentence in found for word in sentence]
    return 0.39 * len(words) / len(found) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def too_long(page: Path) -> list[str]:
    return [" ".join(words) for words in sentences(page) if len(words) > MOST_WORDS]


def main() -> int:
    pages = [Path(argument).resolve() for argument in sys.argv[1:]] or ENGLISH
    bad = False
    for page in pages:
        found = grade(page)
        bad = bad or found > HIGHEST_GRADE or bool(too_long(page))
        print(f"{found:5.1f}  {page.relative_to(ROOT)}")
        for sentence in too_long(page):
            print(f"       {len(sentence.split())} words: {sentence}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
