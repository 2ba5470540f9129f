# SPDX-License-Identifier: Apache-2.0
"""DICOMweb over real TLS with a foreign client."""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from radkeep.identity.permissions import Scope

if TYPE_CHECKING:
    from tests.web.conftest import Served, Web

UID = "1.2.826.0.1.3680043.8.498.9"
STUDY, SERIES, INSTANCE = f"{UID}.1", f"{UID}.1.1", f"{UID}.1.1.1"
Make = Callable[..., bytes]


@pytest.fixture
def client(served: "Served", web: "Web") -> Iterator[DICOMwebClient]:
    with requests.Session() as session:
        session.verify = str(served.authority)
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {web.token}"
        yield DICOMwebClient(f"{served.url}/dicom-web", session=session)


def parsed(file: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(file))


def test_the_whole_way(client: DICOMwebClient, make_file: Make) -> None:
    files = [parsed(make_file()), parsed(make_file(number=2)), parsed(make_file(series=2))]
    answer = client.store_instances(files)
    assert len(answer.ReferencedSOPSequence) == 3

    assert [row["0020000D"]["Value"] for row in client.search_for_studies()] == [[STUDY]]
    found = client.search_for_series(STUDY, search_filters={"Modality": "CT"})
    assert len(found) == 2
    assert len(client.search_for_instances(limit=2)) == 2
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []

    whole = client.retrieve_study(STUDY)
    assert {each.SOPInstanceUID for each in whole} == {each.SOPInstanceUID for each in files}
    assert len(client.retrieve_series(STUDY, SERIES)) == 2
    one = client.retrieve_instance(STUDY, SERIES, INSTANCE)
    assert one == files[0]
    assert len(list(client.iter_study(STUDY))) == 3

    metadata = client.retrieve_instance_metadata(STUDY, SERIES, INSTANCE)
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "Phantom^Patient1"}]
    assert len(client.retrieve_study_metadata(STUDY)) == 3
    bulk = client.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"])
    assert bulk == [bytes(range(32))]

    frames = client.retrieve_instance_frames(STUDY, SERIES, INSTANCE, [1, 2])
    assert frames == [bytes(range(16)), bytes(range(16, 32))]


def test_large_instances_pass_both_ways(client: DICOMwebClient, make_file: Make) -> None:
    pixels = bytes(range(256)) * (3 << 12)
    client.store_instances([parsed(make_file(pixels=pixels))])
    assert client.retrieve_instance(STUDY, SERIES, INSTANCE).PixelData == pixels


def test_deleting_at_every_level(client: DICOMwebClient, web: "Web", make_file: Make) -> None:
    files = [parsed(make_file(series=series, number=n)) for series in (1, 2) for n in (1, 2)]
    client.store_instances(files)
    scopes = [scope for scope in Scope if scope.startswith("dicomweb:")]
    client._session.headers["Authorization"] = f"Bearer {web.house.token(*scopes)}"
    for delete, names, left in (
        (client.delete_instance, (STUDY, SERIES, INSTANCE), 3),
        (client.delete_series, (STUDY, SERIES), 2),
        (client.delete_study, (STUDY,), 0),
    ):
        delete(*names)
        assert len(client.search_for_instances()) == left


def test_refusals_reach_the_client(client: DICOMwebClient, make_file: Make) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        client.retrieve_study(f"{UID}.7")
    with pytest.raises(requests.HTTPError, match="413"):
        client.store_instances([parsed(make_file(pixels=bytes(5 << 20)))])
    client.store_instances([parsed(make_file())])
    with pytest.raises(requests.HTTPError, match="409"):
        client.store_instances([parsed(make_file(pixels=bytes(32)))])
    with pytest.raises(requests.HTTPError, match="406"):
        client.retrieve_instance(
            STUDY, SERIES, INSTANCE, media_types=(("application/dicom", "1.2.840.10008.1.2.4.90"),)
        )
