# SPDX-License-Identifier: Apache-2.0
"""The study list's search form: what was typed, what is wrong with it, and the query it means.

Invariant: a search in force is always told from a search that was refused: ``parse`` returns
errors or nothing, and only a form without errors becomes a query.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

from radkeep.dicom.levels import (
    ACCESSION_NUMBER,
    MODALITIES_IN_STUDY,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY_DATE,
)
from radkeep.dicom.query import Match, Query
from radkeep.web.portal.pages.studies import Choice, SearchErrors, SearchForm

PAGE_ROWS: Final = 50  # a screen and a half; more makes pages slow to read, not quick to find
MAX_PAGE: Final = 2_000  # 100,000 studies down the list: by then one searches
_MAX_ACCESSION: Final = 16  # characters, PS3.5 Table 6.2-1 (SH)
_MAX_TYPED: Final = 64  # characters of one field, PS3.5 Table 6.2-1 (LO, PN component group)

# Those of PS3.3 Section C.7.3.1.1.1 that people look for by name, in the order of their labels.
MODALITIES: Final = tuple(
    Choice(value=value, label=f"{value}  {label}")
    for value, label in (
        ("CR", "Computed radiography"),
        ("CT", "Computed tomography"),
        ("DX", "Digital radiography"),
        ("ECG", "Electrocardiography"),
        ("MG", "Mammography"),
        ("MR", "Magnetic resonance"),
        ("NM", "Nuclear medicine"),
        ("OT", "Other"),
        ("PT", "Positron emission tomography"),
        ("RF", "Fluoroscopy"),
        ("RTDOSE", "Radiotherapy dose"),
        ("RTPLAN", "Radiotherapy plan"),
        ("RTSTRUCT", "Radiotherapy structures"),
        ("SEG", "Segmentation"),
        ("SR", "Structured report"),
        ("US", "Ultrasound"),
        ("XA", "X-ray angiography"),
    )
)
_KNOWN: Final = frozenset(choice.value for choice in MODALITIES)
EMPTY: Final = SearchForm()


@dataclass(frozen=True, slots=True)
class Parsed:
    """A form as typed, with what is wrong; ``wrong == SearchErrors()`` when nothing is."""

    form: SearchForm
    wrong: SearchErrors


def parse(typed: Mapping[str, str]) -> Parsed:
    """Return the fields of ``typed`` that the form knows, and what is wrong with them."""
    form = SearchForm(
        **{field.name: typed.get(field.name, "").strip()[:_MAX_TYPED] for field in fields(EMPTY)}
    )
    wrong_from, wrong_to = _wrong_date(form.date_from), _wrong_date(form.date_to)
    if not (wrong_from or wrong_to) and form.date_from and form.date_to:
        wrong_to = "This is before the first date." if form.date_to < form.date_from else ""
    too_long = "At most 16 characters." if len(form.accession) > _MAX_ACCESSION else ""
    unknown = bool(form.modality) and form.modality not in _KNOWN
    return Parsed(
        form,
        SearchErrors(
            accession=too_long,
            date_from=wrong_from,
            date_to=wrong_to,
            modality="Choose one of the list." if unknown else "",
        ),
    )


def _wrong_date(typed: str) -> str:
    if not typed:
        return ""
    try:
        found = date.fromisoformat(typed)
    except ValueError:
        return "Write the date as 2024-12-31."
    return "" if found.isoformat() == typed else "Write the date as 2024-12-31."


def to_query(form: SearchForm, page: int) -> Query:
    """Return the query that ``form``, which has no errors, means for page ``page`` (from 1).

    Names match anywhere, whatever their case and accents; identifiers match from their start;
    whoever types ``*`` or ``?`` says where.
    """
    keys = {
        PATIENT_NAME: _anywhere(form.name),
        PATIENT_ID: _from_start(form.patient_id),
        ACCESSION_NUMBER: _from_start(form.accession),
        STUDY_DATE: _dates(form),
        MODALITIES_IN_STUDY: form.modality,
    }
    return Query(
        filters=tuple(Match.parse((tag,), text) for tag, text in keys.items() if text),
        include="all",
        limit=PAGE_ROWS,
        offset=(page - 1) * PAGE_ROWS,
    )


def _is_pattern(typed: str) -> bool:
    return "*" in typed or "?" in typed


def _anywhere(typed: str) -> str:
    if not typed or _is_pattern(typed):
        return typed
    words = re.split(r"[\s,^]+", typed.strip(" ,^"))
    return f"*{'*'.join(words)}*"


def _from_start(typed: str) -> str:
    return typed if not typed or _is_pattern(typed) else f"{typed}*"


def _dates(form: SearchForm) -> str:
    low, high = (text.replace("-", "") for text in (form.date_from, form.date_to))
    return f"{low}-{high}" if low or high else ""
