# SPDX-License-Identifier: Apache-2.0
"""A page of a PDF document as a picture.

Invariant: nothing of the document but its look leaves; scripts, forms and links are not run, and no
font comes from the machine, where there may be none and no file may be opened.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pypdfium2_raw as pdfium

from radkeep.dicom.looks import Look
from radkeep.domain.errors import DamagedPixelsError, NotFoundError
from radkeep.sandbox.rendering import encoded
from radkeep.sandbox.requests import Made, PageOf

MAX_SIDE: Final = 4096  # pixels
_DOTS: Final = 150 / 72  # pixels for one point, where no size is asked for
_ANNOTATIONS, _RGB_ORDER = 0x01, 0x10  # flags of rendering
_BGR: Final = 2  # three bytes a pixel


class _Machine:
    """A machine without fonts: the document's own, or those built in, are used."""

    def __init__(self) -> None:
        info = pdfium.FPDF_SYSFONTINFO()
        info.version = 1
        kinds = dict(pdfium.FPDF_SYSFONTINFO._fields_)
        for name in ("Release", "EnumFonts", "MapFont", "GetFont", "DeleteFont"):
            setattr(info, name, kinds[name](_nothing))
        for name in ("GetFontData", "GetFaceName", "GetFontCharset"):
            setattr(info, name, kinds[name](_zero))
        self.info = info


def _nothing(*_: Any) -> None:  # noqa: ANN401 - as the library calls it
    return None


def _zero(*_: Any) -> int:  # noqa: ANN401
    return 0


def load() -> object:
    """Make the library ready; keep what it returns.

    It draws a page at once, so that what is made at first use is made before the door closes.
    """
    config = pdfium.FPDF_LIBRARY_CONFIG(version=2)
    pdfium.FPDF_InitLibraryWithConfig(ctypes.byref(config))
    machine = _Machine()
    pdfium.FPDF_SetSystemFontInfo(ctypes.byref(machine.info))
    return machine


def page(wanted: PageOf, parts: Sequence[memoryview]) -> tuple[bytes, Made]:
    """Return the picture of one page.

    Raises:
        DamagedPixelsError: not a PDF that can be read without a password.
        NotFoundError: it has no such page.
    """
    (content,) = parts
    held = (ctypes.c_char * len(content)).from_buffer_copy(content)
    document = pdfium.FPDF_LoadMemDocument64(held, len(content), None)
    if not document:
        raise DamagedPixelsError("the document cannot be read")
    try:
        pages = pdfium.FPDF_GetPageCount(document)
        if not 1 <= wanted.number <= pages:
            raise NotFoundError("the document has no such page")
        loaded = pdfium.FPDF_LoadPage(document, wanted.number - 1)
        if not loaded:
            raise DamagedPixelsError("the page cannot be read")
        try:
            picture = _drawn(loaded, wanted.look)
        finally:
            pdfium.FPDF_ClosePage(loaded)
    finally:
        pdfium.FPDF_CloseDocument(document)
    made = Made(picture.shape[1], picture.shape[0], pages)
    return encoded(picture, wanted.look), made


def _drawn(loaded: Any, look: Look) -> Any:  # noqa: ANN401 - the bindings have no types
    wide, high = pdfium.FPDF_GetPageWidthF(loaded), pdfium.FPDF_GetPageHeightF(loaded)
    if not (0 < wide < 1 << 20 and 0 < high < 1 << 20):
        raise DamagedPixelsError("the page has no size")
    if look.viewport is not None:
        scale = min(look.viewport.width / wide, look.viewport.height / high)
    else:
        scale = _DOTS
    scale = min(scale, MAX_SIDE / wide, MAX_SIDE / high)
    width, height = max(1, round(wide * scale)), max(1, round(high * scale))
    picture = np.full((height, width, 3), 0xFF, np.uint8)
    target = picture.ctypes.data_as(ctypes.c_void_p)
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, _BGR, target, width * 3)
    try:
        flags = _ANNOTATIONS | _RGB_ORDER
        pdfium.FPDF_RenderPageBitmap(bitmap, loaded, 0, 0, width, height, 0, flags)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return picture
