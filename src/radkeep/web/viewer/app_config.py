# SPDX-License-Identifier: Apache-2.0
"""The viewer's configuration, written for the one who asks.

Invariant: values are JSON in which no character can end the script; there is one data source, on
our own origin, and none that an address could name (OHIF's ``dicomjson``, ``dicomwebproxy``,
``configUrl``).
"""

from importlib.resources import files
from typing import Any, Final

import msgspec

_SOURCE: Final = "radkeep"
_HOOKS: Final = (files("radkeep.web.viewer") / "hooks.js").read_text("utf-8")
# Valid in JSON strings but not everywhere in scripts, or able to close a script element.
_ESCAPES: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def app_config(
    *, may_store: bool, demo: bool = False, base: str = "/viewer", dicomweb: str = "/dicom-web"
) -> str:
    """Return ``app-config.js``.

    Args:
        may_store: measurements may be stored as structured reports.
        demo: the page says so.
        base: where the viewer's own pages live.
        dicomweb: the DICOMweb root that this reader may see.
    """
    values = msgspec.json.encode(
        _values(may_store=may_store, base=base, dicomweb=dicomweb) | {"demo": demo}
    )
    return f"window.config = {values.decode().translate(_ESCAPES)};\n{_HOOKS}"


def _values(*, may_store: bool, base: str, dicomweb: str) -> dict[str, Any]:
    return {
        "name": _SOURCE,
        "routerBasename": base,
        "extensions": [],
        "modes": [],
        "customizationService": [{"ohif.tours": {"$set": []}}],
        "showStudyList": False,  # the portal's list searches without keys in addresses
        "maxNumberOfWebWorkers": 2,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": True,
        "showLoadingIndicator": True,
        "showErrorDetails": "production",
        "investigationalUseDialog": {"option": "never"},  # every portal page says it
        "strictZSpacingForVolumeViewport": True,
        "groupEnabledModesFirst": True,
        "allowMultiSelectExport": False,
        "maxNumRequests": {"interaction": 20, "thumbnail": 5, "prefetch": 10},
        "studyPrefetcher": {"enabled": False},
        "defaultDataSourceName": _SOURCE,
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": _SOURCE,
                "configuration": _source(may_store=may_store, dicomweb=dicomweb),
            }
        ],
    }


def _source(*, may_store: bool, dicomweb: str) -> dict[str, Any]:
    return {
        "friendlyName": "Radkeep",
        "name": _SOURCE,
        "qidoRoot": dicomweb,
        "wadoRoot": dicomweb,
        "wadoUriRoot": dicomweb,
        "qidoSupportsIncludeField": False,
        "supportsReject": False,
        "supportsStow": may_store,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": False,
        "supportsWildcard": True,
        "dicomUploadEnabled": False,
        "omitQuotationForMultipartRequest": True,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
    }
