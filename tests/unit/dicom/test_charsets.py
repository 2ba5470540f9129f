# SPDX-License-Identifier: Apache-2.0
"""Names of PS3.5 Annexes H, I, J, K, and what real files get wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dicom.charsets import charset

CASES = [
    (b"", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (b"ISO_IR 100", b"\xc4neas^R\xfcdiger", "Äneas^Rüdiger"),
    (b"ISO_IR 144", b"\xbb\xee\xda\xd1 ", "\u041b\u044e\u043a\u0431 "),
    (b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    (b"ISO_IR 166", b"\xca\xc1\xaa\xd2\xc2", "สมชาย"),
    (b"ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
    (b"GBK", "王^小东".encode("gbk"), "王^小东"),
    (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (b"\\ISO 2022 IR 58", b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang=张^小东"),
    (b"ISO 2022 IR 6\\ISO 2022 IR 100\\ISO 2022 IR 144", b"a^\x1b-A\xe9\x1b-L\xbb", "a^éЛ"),
    (b"ISO-IR 100 ", b"\xe9", "é"),
    (b"iso_ir_192", "é".encode(), "é"),
    (b"no such set", b"\xe9", "é"),
]


@pytest.mark.parametrize(("names", "raw", "text"), CASES)
def test_decoding(names: bytes, raw: bytes, text: str) -> None:
    assert charset(names).decode(raw, name=True) == text


def test_a_delimiter_ends_a_code_extension() -> None:
    cyrillic = charset(b"ISO 2022 IR 100\\ISO 2022 IR 144")
    assert cyrillic.decode(b"\x1b-L\xbb\\\xe9") == "Л\\é"
    assert cyrillic.decode(b"\x1b-L\xbb^\xe9", name=True) == "Л^é"
    assert cyrillic.decode(b"\x1b-L\xbb^\xbb") == "Л^Л"


def test_what_cannot_be_decoded_is_replaced() -> None:
    assert charset(b"ISO_IR 192").decode(b"a\xff") == "a\ufffd"
    assert charset(b"ISO_IR 192").decode(b"\x1b$B;3") == "\x1b$B;3"


@given(st.binary(max_size=40), st.binary(max_size=60))
def test_any_bytes_give_text(names: bytes, raw: bytes) -> None:
    charset(names).decode(raw, name=True).encode("utf-8")


@given(st.sampled_from([names for names, _, _ in CASES]), st.binary(max_size=60))
def test_any_bytes_give_text_in_every_set(names: bytes, raw: bytes) -> None:
    charset(names).decode(b"\x1b$B" + raw).encode("utf-8")
