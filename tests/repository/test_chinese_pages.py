# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Chinese pages are in step with the English ones: headings, code blocks, tables, lists and the names in inline code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from support.pages import MARKDOWN_BLOCK, ROOT, RST, RST_BLOCK, blocks

PAIRS = {RST / path.name.replace("_zh", ""): path for path in sorted(RST.glob("*_zh.rst"))} | {
    ROOT / "README.md": ROOT / "README.zh-CN.md",
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def text_of(page: Path) -> str:
    """Without code blocks."""
    text = page.read_text(encoding="utf-8")
    return (RST_BLOCK if page.suffix == ".rst" else MARKDOWN_BLOCK).sub("\n", text)


def shape(page: Path) -> list[str]:
    """Headings by level, items of lists, and the cells of tables, in their order."""
    text = text_of(page)
    if page.suffix == ".md":
        found = []
        for line in text.splitlines():
            if line.startswith("|"):
                found.append(f"row of {line.count('|') - 1}")
            elif match := re.match(r"#+|- ", line):
                found.append(match[0])
        return found
    pattern = r"^([=^\"-])\1{2,}$|^ *(\* -|-)(?= |$)|^(\*|\d+\.) |^:[^:\n`]+(:) "
    return [next(filter(None, match.groups())) for match in re.finditer(pattern, text, re.M)]


def names(page: Path) -> Counter[str]:
    """The names in inline code, and the targets of references."""
    text = re.sub(r"_zh\b", "", text_of(page))
    codes = re.findall(r"``([^`]+)``" if page.suffix == ".rst" else r"`([^`]+)`", text)
    targets = re.findall(r":ref:`(?:[^`<]*<)?([\w.]+)>?`", text)
    return Counter(codes + targets)


@pytest.mark.parametrize(("english", "chinese"), PAIRS.items(), ids=lambda page: page.name)
def test_a_chinese_page_is_in_step_with_the_english_one(english: Path, chinese: Path) -> None:
    assert [(block.language, block.body, block.not_run) for block in blocks(chinese)] == [
        (block.language, block.body, block.not_run) for block in blocks(english)
    ]
    assert shape(chinese) == shape(english)
    assert names(chinese) == names(english)
    assert len(shape(english)) >= 10
    assert len(CHINESE.findall(text_of(chinese))) > 300


@pytest.mark.parametrize("chinese", PAIRS.values(), ids=lambda page: page.name)
def test_a_chinese_page_uses_the_terms_of_the_chinese_console(chinese: Path) -> None:
    text = text_of(chinese)
    assert "弹性网卡" in text
    # Terms that the console does not use.
    assert [word for word in ("网络接口", "次要", "次级", "取消指派", "虚拟交换机", "试运行", "干运行") if word in text] == []


def test_all_terms_of_the_console_occur() -> None:
    text = "".join(map(text_of, PAIRS.values()))
    assert [word for word in ("弹性网卡", "辅助私网 IP", "安全组", "交换机", "实例", "检查模式", "取消分配") if word not in text] == []
