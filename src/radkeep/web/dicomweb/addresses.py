# SPDX-License-Identifier: Apache-2.0
"""Where the DICOMweb resources are (PS3.18 Section 10.1).

Invariant: every address of a study, series or instance that leaves this server is made here.
"""

from typing import Final

from radkeep.web.kit.requests import Incoming

ROOT: Final = "/dicom-web"


def base_of(request: Incoming) -> str:
    """Return the DICOMweb root as the client sees it.

    Raises:
        InvalidRequestError: the Host header is missing or no host name.
    """
    return request.origin + ROOT


def address_of(base: str, study: str, series: str = "", instance: str = "") -> str:
    """Return the address of a study, of one of its series, or of an instance of that."""
    address = f"{base}/studies/{study}"
    if series:
        address += f"/series/{series}"
    if instance:
        address += f"/instances/{instance}"
    return address
