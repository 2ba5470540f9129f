# SPDX-License-Identifier: Apache-2.0
"""The DICOMweb resources and what each needs."""

from typing import Final

from radkeep.identity.permissions import Permission
from radkeep.ingest.store import Store
from radkeep.retrieval.deletions import Deletions
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.search import Search
from radkeep.web.dicomweb.addresses import ROOT
from radkeep.web.dicomweb.delete import Delete
from radkeep.web.dicomweb.qido import Qido
from radkeep.web.dicomweb.rendered import Rendered
from radkeep.web.dicomweb.stow import Stow
from radkeep.web.dicomweb.wado import Wado
from radkeep.web.dicomweb.wado_uri import WadoUri
from radkeep.web.kit.routes import GuardedRoute, Handler, Surface

WADO_URI: Final = "/wado"
MAX_REQUEST_BYTES: Final = 64 << 30  # of one store request


def dicomweb_routes(
    surface: Surface,
    *,
    store: Store,
    search: Search,
    fetch: Fetch,
    deletions: Deletions,
    max_request: int = MAX_REQUEST_BYTES,
) -> list[GuardedRoute]:
    """Return the resources below /dicom-web, the busiest first."""
    qido, wado = Qido(search), Wado(fetch)
    rendered = Rendered(fetch)
    stow = Stow(store, surface.kit.threads, limit=max_request)
    study = f"{ROOT}/studies/{{study}}"
    series = f"{study}/series/{{series}}"
    instance = f"{series}/instances/{{instance}}"

    def read(path: str, handler: Handler) -> GuardedRoute:
        return surface.route(path, handler, needs=Permission.STUDY_READ)

    def picture(path: str, handler: Handler) -> GuardedRoute:
        return surface.route(path, handler, needs=Permission.STUDY_READ, pictures=True)

    def query(path: str, handler: Handler) -> GuardedRoute:
        return surface.route(path, handler, needs=Permission.STUDY_QUERY)

    delete, uri = Delete(deletions), WadoUri(fetch)
    return [
        read(f"{instance}/frames/{{frames}}", wado.frames),
        read(instance, wado.instances),
        read(f"{instance}/metadata", wado.metadata),
        read(f"{instance}/bulkdata/{{path:path}}", wado.bulk),
        picture(f"{instance}/frames/{{frames}}/rendered", rendered.frames),
        picture(f"{instance}/frames/{{frames}}/thumbnail", rendered.thumbnail),
        *(picture(f"{path}/rendered", rendered.instances) for path in (instance, series, study)),
        *(picture(f"{path}/thumbnail", rendered.thumbnail) for path in (instance, series, study)),
        read(f"{series}/metadata", wado.metadata),
        read(f"{study}/metadata", wado.metadata),
        read(series, wado.instances),
        read(study, wado.instances),
        read(WADO_URI, uri.object),
        query(f"{ROOT}/studies", qido.studies),
        query(f"{study}/series", qido.series),
        query(f"{series}/instances", qido.instances),
        query(f"{study}/instances", qido.instances),
        query(f"{ROOT}/series", qido.series),
        query(f"{ROOT}/instances", qido.instances),
        *(
            surface.stream_route(
                path, stow.studies, needs=Permission.INSTANCE_STORE, methods=["POST"]
            )
            for path in (f"{ROOT}/studies", study)
        ),
        *(
            surface.route(path, delete.instances, needs=Permission.STUDY_DELETE, methods=["DELETE"])
            for path in (study, series, instance)
        ),
    ]
