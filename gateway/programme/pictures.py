"""Pictures that operators upload: examined, cut to one shape and written anew, so that nothing of the file is served.

What was uploaded is decoded, turned as its camera says, brought to sRGB, and cut to 16:9 around its middle, or made
smaller as a whole where it is to stand behind a hall plan. What is stored holds pixels only: no place where it was
taken, no preview, no profile.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from PIL import Image, ImageCms, ImageOps

from db.pictures import PictureForms
from gateway.programme.settings import PictureSettings
from gateway.wire.problems import ProblemError

FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Pillow's name of each format that is taken, by its media type. Pillow tries no other decoder."""
LARGE: Final = (1280, 720)
SMALL: Final = (480, 270)
CARD: Final = (1200, 630)
"""As share previews show it. They want a JPEG: not every messenger reads WebP."""
WHOLE: Final = (2048, 2048)
"""Where the picture is not cut, it is no larger than this."""
LEAST: Final = (640, 360)
QUALITY: Final = 80
WAITING_MAX: Final = 4
"""Uploads that may wait for the one thread; each holds its bytes in memory."""
RETRY_SECONDS: Final = 5


class PictureError(ValueError):
    """The picture cannot be taken. The message is a sentence without its end."""


class Pictures:
    """Makes the forms of uploaded pictures, one at a time in a thread of its own: decoding one may take a second of a
    core and some hundred megabytes.
    """

    def __init__(self, settings: PictureSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._waiting = 0

    async def forms(self, content: bytes, *, whole: bool = False) -> PictureForms:
        """The picture as it is to be served, ``whole`` or cut to 16:9.

        Raises:
            ProblemError: ``picture_refused``, or ``overloaded`` where others wait already.
        """
        if self._waiting >= WAITING_MAX:
            raise ProblemError(
                "overloaded", "Other pictures are being made; try again shortly.", retry_after_seconds=RETRY_SECONDS
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, picture_forms, content, self._settings.pixels_max, whole
            )
        except PictureError as error:
            said = str(error)
            raise ProblemError("picture_refused", f"{said[:1].upper()}{said[1:]}.") from None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def picture_forms(content: bytes, pixels_max: int, whole: bool = False) -> PictureForms:
    """Decode, cut and encode a picture. ``whole``: its WebP forms are not cut, so they have its own shape.

    Raises:
        PictureError: it is not of `FORMATS`, broken, too small, or has more than ``pixels_max`` pixels.
    """
    try:
        with warnings.catch_warnings():
            # Our own bound is asked below, before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=tuple(FORMATS.values())) as opened:
                width, height = opened.size
                if width * height > pixels_max:
                    raise PictureError(f"it has {width} × {height} pixels, and {pixels_max} in all are taken at most")
                upright = _in_srgb(ImageOps.exif_transpose(opened))
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise PictureError(f"it has more than {pixels_max} pixels") from None
    except Exception as error:
        # Pillow's decoders raise whatever they stumble over in a broken file.
        raise PictureError("it is no whole JPEG, PNG or WebP picture") from error
    if upright.width < LEAST[0] or upright.height < LEAST[1]:
        raise PictureError(
            f"it has {upright.width} × {upright.height} pixels; at least {LEAST[0]} × {LEAST[1]} are needed"
        )
    if whole:
        large, small = (ImageOps.contain(upright, _at_most(upright, size)) for size in (WHOLE, SMALL))
    else:
        large, small = (_cut(upright, size) for size in (LARGE, SMALL))
    card = _cut(upright, CARD)
    written = [_written(large, "WEBP"), _written(small, "WEBP"), _written(card, "JPEG")]
    digest = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in written)).hexdigest()[:32]
    return PictureForms(
        hash=digest, large=written[0], small=written[1], card=written[2], width=large.width, height=large.height
    )


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture in sRGB on white, without any profile."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            made = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except ImageCms.PyCMSError:
            made = None  # A broken profile; the numbers are taken for sRGB's.
        if made is not None:
            return made
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        white = Image.new("RGB", seen.size, "white")
        white.paste(seen, mask=seen.getchannel("A"))
        return white
    return image.convert("RGB")


def _cut(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture in the shape of ``size``, never larger than it is in the picture."""
    scale = min(1.0, image.width / size[0], image.height / size[1])
    return ImageOps.fit(image, (round(size[0] * scale), round(size[1] * scale)), Image.Resampling.LANCZOS)


def _at_most(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """The box that the whole picture is to fit into: this one, or its own where it is smaller."""
    return min(image.width, size[0]), min(image.height, size[1])


def _written(image: Image.Image, encoder: str) -> bytes:
    # A new image: what Pillow read beside the pixels (EXIF, XMP, comments) would be written too.
    plain = Image.frombytes(image.mode, image.size, image.tobytes())
    file = io.BytesIO()
    plain.save(file, encoder, quality=QUALITY)
    return file.getvalue()
