// SPDX-License-Identifier: Apache-2.0
//
// Sends a message by Web Push with nothing but Node's own crypto: node send.mjs <subscription> <text> [contact]
// Prints status and body of the answer.
import crypto from 'node:crypto';
import https from 'node:https';

const [subscriptionText, text, contact = 'mailto:ops@example.com'] = process.argv.slice(2);
const subscription = JSON.parse(subscriptionText);
const endpoint = new URL(subscription.endpoint);
const b64 = (data) => Buffer.from(data).toString('base64url');

const vapid = crypto.createECDH('prime256v1');
vapid.generateKeys();
const [x, y] = [vapid.getPublicKey().subarray(1, 33), vapid.getPublicKey().subarray(33)];
const d = Buffer.alloc(32);
vapid.getPrivateKey().copy(d, 32 - vapid.getPrivateKey().length);
const signing = crypto.createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', d: b64(d), x: b64(x), y: b64(y) } });
const claims = { aud: endpoint.origin, exp: Math.floor(Date.now() / 1000) + 3600, sub: contact };
const input = `${b64(JSON.stringify({ alg: 'ES256', typ: 'JWT' }))}.${b64(JSON.stringify(claims))}`;
const signature = crypto.sign('sha256', Buffer.from(input), { key: signing, dsaEncoding: 'ieee-p1363' });

const receiver = Buffer.from(subscription.keys.p256dh, 'base64url');
const auth = Buffer.from(subscription.keys.auth, 'base64url');
const local = crypto.createECDH('prime256v1');
local.generateKeys();
const salt = crypto.randomBytes(16);
const hkdf = (key, saltOf, info, length) => Buffer.from(crypto.hkdfSync('sha256', key, saltOf, info, length));
const ikm = hkdf(local.computeSecret(receiver), auth, Buffer.concat([Buffer.from('WebPush: info\0'), receiver, local.getPublicKey()]), 32);
const cipher = crypto.createCipheriv('aes-128-gcm', hkdf(ikm, salt, 'Content-Encoding: aes128gcm\0', 16), hkdf(ikm, salt, 'Content-Encoding: nonce\0', 12));
const size = Buffer.alloc(4);
size.writeUInt32BE(4096);
const body = Buffer.concat([salt, size, Buffer.from([65]), local.getPublicKey(), cipher.update(Buffer.concat([Buffer.from(text), Buffer.from([2, 0, 0])])), cipher.final(), cipher.getAuthTag()]);

const request = https.request(endpoint, {
  method: 'POST',
  headers: { TTL: 60, Urgency: 'high', 'Content-Encoding': 'aes128gcm', Authorization: `vapid t=${input}.${b64(signature)}, k=${b64(vapid.getPublicKey())}` },
}, (response) => {
  let answer = '';
  response.on('data', (chunk) => { answer += chunk; });
  response.on('end', () => console.log(response.statusCode, answer));
});
request.end(body);
