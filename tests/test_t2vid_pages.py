"""Long texts as pages: nothing lost, nothing outside the margins, nothing shown wrong."""

import random
import re
import string
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

pytest.importorskip("fontTools")

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from videre.errors import ConfigError, DataError
from videre.methods.t2vid import face as faces
from videre.methods.t2vid.cut import cut, graphemes, tokens
from videre.methods.t2vid.face import Face
from videre.methods.t2vid.layout import Style, pages
from videre.methods.t2vid.render import laid_out, pixels, png, render

HAN = "长文本被切分为多个片段然后逐渲染成图像从而模拟视频帧序列"
ALPHABETS = {
    "latin": string.ascii_letters + string.digits + "äöüßéèçñøåęłž.,;:!?-()\"'",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΘΛΞΣΩάέήίόύώ.,;",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЖЯ.,!?",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئىة،؟",
    "hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת.,!?",
    "han": HAN + ",，。、「」！？",
}
needs_raqm = pytest.mark.skipif(not (features.check("raqm") and features.check("fribidi")), reason="no libraqm")


@pytest.fixture(scope="module")
def han_font(tmp_path_factory) -> Path:
    """A font of squares for the Chinese characters of these tests."""
    path = tmp_path_factory.mktemp("font") / "squares.ttf"
    pen = TTGlyphPen(None)
    for x, y, move in ((80, -50, pen.moveTo), (80, 800, pen.lineTo), (920, 800, pen.lineTo), (920, -50, pen.lineTo)):
        move((x, y))
    pen.closePath()
    square, blank = pen.glyph(), TTGlyphPen(None).glyph()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "space", "square"])
    builder.setupCharacterMap({32: "space"} | {ord(c): "square" for c in ALPHABETS["han"]})
    builder.setupGlyf({".notdef": blank, "space": blank, "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "space": (500, 0), "square": (1000, 80)})
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=880, sTypoDescender=-120, usWinAscent=880, usWinDescent=120)
    builder.setupPost()
    builder.save(path)
    return path


def random_text(chance: random.Random, alphabet: str) -> str:
    sizes = (min(90, int(chance.expovariate(0.18)) + 1) for _ in range(chance.randint(1, 28)))
    words = ("".join(chance.choices(alphabet, k=size)) for size in sizes)
    return "".join(word + chance.choices([" ", "\n", "\n\n", "\t", ", "], [20, 2, 1, 0.3, 3])[0] for word in words)


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def check(text: str, style: Style, face: Face, **how) -> int:
    """Everything that must hold for the pages of a text; how many there are."""
    made = list(laid_out(text, style, face=face, **how))
    assert bare("".join(f.text for page in made for f in page.fragments)) == bare(text)
    left, right = style.margin_px, style.width_px - style.margin_px
    top, bottom = style.margin_px, style.height_px - style.margin_px
    for page in made:
        ink = pixels(page) < 255
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        assert len(rows)
        assert columns[0] >= left
        assert columns[-1] < right
        assert rows[0] >= top
        assert rows[-1] < bottom
        for f in page.fragments:
            assert text[f.start : f.start + len(f.text)] == f.text
            assert left <= f.x_px <= f.x_px + f.width_px <= right
            assert top <= f.y_px <= f.y_px + f.height_px <= bottom
            assert ink[f.y_px : f.y_px + f.height_px, f.x_px : f.x_px + f.width_px].any(), f.text
    return len(made)


@pytest.mark.parametrize("script", ALPHABETS)
def test_every_character_of_a_thousand_random_texts_stands_inside_the_margins(script, han_font):
    if script in ("arabic", "hebrew") and not features.check("fribidi"):
        pytest.skip("no fribidi")
    chance = random.Random(script)
    style = Style(font=str(han_font) if script == "han" else None)
    face, count = Face(style.font, style.size_px), 0
    kept = Style(font=style.font, newlines="keep")
    for number in range(167):
        text = random_text(chance, ALPHABETS[script])
        by = chance.choice(["tokens", "words", "lines", "sentences", None])
        count += check(text, kept if number % 3 == 0 else style, face, by=by, limit=chance.choice([5, 20, 115]))
    assert count > 167


@pytest.mark.parametrize("by", ["tokens", "words", "lines", "sentences"])
def test_pieces_joined_are_the_text_and_none_is_above_the_limit(by):
    chance = random.Random(by)
    everything = "".join(ALPHABETS.values()) + "👩‍👩‍👧🇩🇪é  \n\n\t​" + "กขค" + "한국어"
    for _ in range(50):
        text, limit = random_text(chance, everything), chance.choice([1, 2, 9, 115])
        pieces = cut(text, by=by, limit=limit)
        assert "".join(piece.of(text) for piece in pieces) == text
        assert cut(text, by=by, limit=limit) == pieces
        counted = {"words": lambda t: len(t.split()), "lines": lambda t: len(t.splitlines())}.get(by, tokens)
        for piece in pieces:
            one_letter = len(graphemes(piece.of(text).strip())) == 1
            if by != "lines":  # splitlines knows line ends that are no newline
                assert counted(piece.of(text)) <= limit or one_letter


@pytest.mark.parametrize("text", ["", " ", " \n\t "])
def test_blank_texts_give_no_picture(text):
    assert "".join(piece.of(text) for piece in cut(text)) == text
    assert render(text) == []


def test_the_limit_is_met_exactly_and_words_stay_whole():
    words = "word " * 115
    assert len(cut(words)) == 1
    assert len(cut(words + "word")) == 2
    pieces = cut("it can't be true " * 40, limit=10)
    assert all(not re.search(r"\bca?n?$|'$", piece.of("it can't be true " * 40).rstrip()) for piece in pieces)


def test_sentences_stay_whole():
    text = 'One two three. "Four five!" Six 3.5 seven? Eight.'
    assert [piece.of(text) for piece in cut(text, by="sentences", limit=8)] == [
        "One two three. ",
        '"Four five!" ',
        "Six 3.5 seven? Eight.",
    ]


def test_no_piece_and_no_line_ends_inside_a_character():
    family = "👩‍👩‍👧"
    accented = "e\u0301" * 60
    assert all(piece.of(accented).startswith("e") for piece in cut(accented, limit=7))
    assert all(len(piece.of(family * 30)) % len(family) == 0 for piece in cut(family * 30, limit=4))


@needs_raqm
def test_marks_on_letters_stay_with_them_in_words_wider_than_a_line():
    (page,) = laid_out("e\u0301" * 60, by=None)
    assert len(page.fragments) > 1
    assert all(fragment.text[0] == "e" and fragment.text[-1] == "\u0301" for fragment in page.fragments)


@needs_raqm
def test_towers_of_accents_get_a_higher_line_or_a_clear_refusal():
    check("a" + "\u0301" * 4 + " plain words", Style(), Face(None, 20), by=None)
    with pytest.raises(ConfigError, match="higher than the 408 px"):
        render("a" + "\u0301" * 400)


@pytest.mark.parametrize("text", ["x" * 500 + " tail", "https://example.org/" + "a/very/long/path/" * 30, "W" * 3000])
def test_words_wider_than_a_line_are_broken(text):
    check(text, Style(), Face(None, 20))


def test_long_words_flow_to_more_pictures_instead_of_leaving_the_canvas():
    text = "electroencephalographically " * 115
    assert check(text, Style(), Face(None, 20)) == 7
    (small,) = laid_out("electroencephalographically " * 30, Style(overflow="shrink"))
    assert len(small.fragments) == 30
    with pytest.raises(DataError, match="needs 7 pages at 20 px"):
        render(text, Style(overflow="error"))


def test_characters_that_the_font_lacks_are_named_replaced_or_left_out():
    with pytest.raises(DataError, match=r"DejaVuSans.ttf has no .*长\(U\+957F\)"):
        render("plain 长文 text")
    (page,) = laid_out("plain 长文 text\ud800", Style(missing="replace"))
    assert page.missing == ("文", "长", "\ud800")
    assert (pixels(page) != pixels(next(laid_out("plain text")))).any()
    (skipped,) = laid_out("plain a长 text", Style(missing="skip"))
    assert "长" in [fragment.text for fragment in skipped.fragments]


def test_chinese_breaks_between_characters_and_closing_signs_do_not_begin_a_line(han_font):
    text = (HAN + "，") * 12
    (page,) = laid_out(text, Style(font=str(han_font)), by=None)
    rows = {y: "".join(f.text for f in page.fragments if f.y_px == y) for y in {f.y_px for f in page.fragments}}
    assert len(rows) > 15
    assert not any(row.startswith("，") for row in rows.values())
    assert max(map(len, rows.values())) == 20


@needs_raqm
def test_arabic_stands_at_the_right_its_letters_joined(monkeypatch):
    (page,) = laid_out("مرحبا بالعالم هذا نص تجريبي")
    (line,) = page.fragments
    assert line.x_px + line.width_px == 428
    basic = faces.ImageFont.truetype("DejaVuSans.ttf", 20, layout_engine=faces.ImageFont.Layout.BASIC)
    assert line.width_px < 0.8 * basic.getlength(line.text)  # 326 px where letters stand alone
    assert line.word.ink.getextrema() == (0, 255)


def test_a_script_that_cannot_be_shaped_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(faces.features, "check", lambda name: False)
    with pytest.raises(DataError, match="must be shaped, and this Pillow has no Raqm layout"):
        render("مرحبا بالعالم")
    assert len(render("plain text needs none")) == 1


def test_lines_have_constant_leading_and_paragraphs_stay():
    (page,) = laid_out("no descenders ace\nstill the same paragraph\n\ngypsy")
    tops = sorted({fragment.y_px for fragment in page.fragments})
    assert len(tops) == 3
    assert set(np.diff(tops)) == {24}
    (kept,) = laid_out("def f(x):\n    return x\n\nprint(f(2))", Style(newlines="keep"))
    starts = {f.y_px: f.x_px for f in reversed(kept.fragments)}
    assert list(np.diff(sorted(starts))) == [24, 48]
    assert starts[sorted(starts)[1]] >= 20 + 4 * Face(None, 20).space_px


def test_the_same_text_gives_the_same_bytes_and_they_are_a_png(tmp_path):
    page = next(laid_out("The harbour wakes before the town does. " * 8))
    again = next(laid_out("The harbour wakes before the town does. " * 8, face=Face(None, 20)))
    assert png(page) == png(again)
    (tmp_path / "page.png").write_bytes(png(page))
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.mode == "L"
        assert (np.asarray(picture) == pixels(page)).all()


def test_wrong_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="room for a letter"):
        Style(margin_px=220)
    (tmp_path / "no.ttf").write_text("not a font")
    with pytest.raises(ConfigError, match="not a font"):
        Face(tmp_path / "no.ttf", 20)
    with pytest.raises(ValueError, match="limit=0"):
        cut("text", limit=0)
    assert pages("  ", Face(None, 20), Style()) == []
