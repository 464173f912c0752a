"""What becomes of a picture that an operator uploads, and what is refused before it costs anything."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from gateway.programme.pictures import LARGE, SMALL, PictureError, picture_forms

PIXELS_MAX = 4_000_000


def jpeg(size: tuple[int, int] = (1600, 1200), colour: str = "#c03060", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", **options)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose head names a size that would take gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def test_a_picture_is_cut_to_one_shape_in_two_sizes_and_a_card() -> None:
    forms = picture_forms(jpeg(), PIXELS_MAX)
    large, small, card = opened(forms.large), opened(forms.small), opened(forms.card)
    assert (large.format, large.size) == ("WEBP", LARGE) == ("WEBP", (forms.width, forms.height))
    assert (small.format, small.size) == ("WEBP", SMALL)
    assert (card.format, card.size) == ("JPEG", (1200, 630))
    assert picture_forms(jpeg(), PIXELS_MAX).hash == forms.hash != picture_forms(jpeg(colour="blue"), PIXELS_MAX).hash


def test_a_picture_for_a_hall_plan_keeps_its_shape_and_is_no_larger_than_a_bound() -> None:
    forms = picture_forms(jpeg((3000, 1000)), PIXELS_MAX, whole=True)
    assert (forms.width, forms.height) == opened(forms.large).size == (2048, 683)
    assert opened(forms.small).size == (480, 160)
    assert opened(picture_forms(jpeg((700, 900)), PIXELS_MAX, whole=True).large).size == (700, 900)


def test_a_small_picture_is_not_blown_up() -> None:
    forms = picture_forms(jpeg((800, 600)), PIXELS_MAX)
    assert opened(forms.large).size == (800, 450)


def test_nothing_but_pixels_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    exif[0x8825] = {1: "N", 2: (53.0, 33.0, 0.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = jpeg(exif=exif, icc_profile=profile, comment=b"taken at home")
    assert b"taken at home" in sent
    forms = picture_forms(sent, PIXELS_MAX)
    for content in (forms.large, forms.small, forms.card):
        image = opened(content)
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment"} & image.info.keys()
        assert b"taken at home" not in content


def test_a_picture_stands_as_its_camera_says() -> None:
    image = Image.new("RGB", (1200, 900), "red")
    image.paste("blue", (0, 0, 600, 900))
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: the left half is to be on top.
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    large = opened(picture_forms(file.getvalue(), PIXELS_MAX).large).convert("RGB")
    top, bottom = (large.getpixel((large.width // 2, at)) for at in (10, large.height - 10))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[2] > 200 > 60 > top[0]
    assert bottom[0] > 200 > 60 > bottom[2]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16"])
def test_every_kind_of_png_is_taken(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (800, 600)).save(file, "PNG")
    large = opened(picture_forms(file.getvalue(), PIXELS_MAX).large)
    if mode in ("RGBA", "LA"):
        assert large.convert("RGB").getpixel((5, 5)) == (255, 255, 255), "what is transparent is shown on white"


def test_a_jpeg_for_print_is_taken() -> None:
    file = io.BytesIO()
    Image.new("CMYK", (800, 600), (0, 255, 255, 0)).save(file, "JPEG")
    red, green, _ = opened(picture_forms(file.getvalue(), PIXELS_MAX).large).convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 180 > 90 > green


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no whole"),
        (b"%PDF-1.7", "no whole"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no whole"),
        (jpeg()[:4000], "no whole"),
        (jpeg((639, 400)), "at least 640 × 360"),
        (png_that_claims(60_000, 60_000), "pixels"),
        (png_that_claims(3000, 3000), "in all are taken at most"),
        (png_that_claims(1000, 1000), "no whole"),
    ],
    ids=["nothing", "pdf", "svg", "cut off", "too small", "bomb", "too large", "broken"],
)
def test_what_is_no_picture_of_ours_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=words):
        picture_forms(content, PIXELS_MAX)


def test_formats_that_nobody_uploads_are_not_even_tried() -> None:
    file = io.BytesIO()
    Image.new("RGB", (800, 600)).save(file, "TIFF")
    with pytest.raises(PictureError, match="no whole"):
        picture_forms(file.getvalue(), PIXELS_MAX)
