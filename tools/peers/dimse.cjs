// SPDX-License-Identifier: Apache-2.0
// dcmjs-dimse as a command: VERB HOST PORT CALLING CALLED [ARGUMENT...]; prints JSON lines, ends
// with 0 only if the last answer of each request is a success.
'use strict';
const { Client, requests, responses, constants, log } = require('dcmjs-dimse');
const [verb, host, port, calling, called, ...rest] = process.argv.slice(2);
log.setLevel('error');

const client = new Client();
let failed = false;

const verbs = {
  echo: () => [new requests.CEchoRequest()],
  store: () => rest.map((path) => new requests.CStoreRequest(path)),
  find: () => [requests.CFindRequest.createStudyFindRequest({ PatientID: rest[0] })],
  get: () => [requests.CGetRequest.createStudyGetRequest(rest[0])],
  move: () => [requests.CMoveRequest.createStudyMoveRequest(rest[1], rest[0])],
};

for (const request of verbs[verb]()) {
  let status = -1;
  request.on('response', (response) => {
    status = response.getStatus();
    const elements = response.hasDataset() ? response.getDataset().getElements() : {};
    console.log(JSON.stringify({ status, study: elements.StudyInstanceUID }));
  });
  request.on('done', () => {
    failed = failed || status !== constants.Status.Success;
  });
  client.addRequest(request);
}
client.on('cStoreRequest', (request, callback) => {
  const elements = request.getDataset().getElements();
  console.log(JSON.stringify({ got: elements.SOPInstanceUID }));
  const response = responses.CStoreResponse.fromRequest(request);
  response.setStatus(constants.Status.Success);
  callback(response);
});
for (const fault of ['networkError', 'associationRejected', 'abort']) {
  client.on(fault, (what) => {
    console.error(fault, JSON.stringify(what, Object.getOwnPropertyNames(what ?? {})));
    failed = true;
  });
}
client.on('close', () => process.exit(failed ? 1 : 0));
client.send(host, Number(port), calling, called);
