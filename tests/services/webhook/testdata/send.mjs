// SPDX-License-Identifier: Apache-2.0
//
// Posts a signed notification with nothing but Node's own crypto: node send.mjs <url> <private JWK> <body> [type]
// Prints status and body of the answer.
import crypto from 'node:crypto';
import https from 'node:https';

const [url, jwkText, body, typ = 'gatehouse-push+jws'] = process.argv.slice(2);
const jwk = JSON.parse(jwkText);
const b64 = (data) => Buffer.from(data).toString('base64url');
const header = b64(JSON.stringify({ alg: 'ES256', typ, kid: jwk.kid }));
const key = crypto.createPrivateKey({ format: 'jwk', key: jwk });
const signature = crypto.sign('sha256', Buffer.from(`${header}.${b64(body)}`), { key, dsaEncoding: 'ieee-p1363' });
const request = https.request(url, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'Gatehouse-Delivery': JSON.parse(body).id, 'Gatehouse-Signature': `${header}..${b64(signature)}`, Authorization: 'Bearer t' },
}, (response) => {
  let answer = '';
  response.on('data', (chunk) => { answer += chunk; });
  response.on('end', () => console.log(response.statusCode, answer.trim()));
});
request.end(body);
