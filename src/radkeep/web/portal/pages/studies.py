# SPDX-License-Identifier: Apache-2.0
"""The list of studies and the page of one study.

Invariant: every value is text to be shown as it is; a page decides nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

from radkeep.web.portal.pages.frame import Fact, Page


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchForm:
    """What stands in the search form, as it was typed."""

    name: str = ""
    patient_id: str = ""
    accession: str = ""
    date_from: str = ""  # YYYY-MM-DD
    date_to: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchErrors:
    """What is wrong with a field, in a sentence; empty where nothing is."""

    accession: str = ""
    date_from: str = ""
    date_to: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One entry of a list to choose from."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One line of the list, every value ready to read."""

    href: str
    viewer: str  # address; empty: the reader may not look inside, or there is no picture
    patient: str
    patient_id: str
    birth: str
    when: str
    modalities: tuple[str, ...]
    description: str
    accession: str
    series: str
    instances: str


@dataclass(frozen=True, kw_only=True)
class StudiesPage(Page):
    """The list of studies, newest first."""

    template: ClassVar[str] = "studies.html"

    search: SearchForm
    modalities: tuple[Choice, ...]
    wrong: SearchErrors = SearchErrors()
    problem: str = ""
    narrowed: bool = False  # a search is in force
    rows: tuple[StudyRow, ...] = ()
    first: int = 1  # number of the first row in the whole list
    previous_page: str = ""  # address; empty: none
    next_page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who a study is of."""

    name: str
    id: str
    birth: str
    age: str  # at the time of the study
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """One line of a study's table of series."""

    number: str
    modality: str
    description: str
    body_part: str
    when: str
    instances: int


@dataclass(frozen=True, kw_only=True)
class StudyPage(Page):
    """One study."""

    template: ClassVar[str] = "study.html"

    uid: str
    viewer: str  # address; empty: the reader may not look inside, or there is no picture
    may_view: bool
    patient: Patient
    description: str
    when: str
    accession: str
    referrer: str
    series: tuple[SeriesRow, ...]
    instances: int
    origin: tuple[Fact, ...]  # of its first instance
