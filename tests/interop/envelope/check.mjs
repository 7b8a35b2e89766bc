// SPDX-License-Identifier: Apache-2.0
//
// Holds the vectors against the JavaScript implementation, and makes messages for the Go implementation to open. Takes the
// vectors' file; prints one JSON object.

import { readFileSync } from "node:fs";
import * as p from "./protocol.mjs";

const v = JSON.parse(readFileSync(process.argv[2], "utf8"));
const k = v.keys;
const failures = [];
let checked = 0;

// expect runs f, which has to succeed or to refuse.
async function expect(name, good, f) {
  checked++;
  try {
    const wrong = await f();
    if (!good) failures.push(name + ": taken");
    else if (wrong) failures.push(name + ": " + wrong);
  } catch (error) {
    if (good) failures.push(name + ": " + error.message);
    else if (!(error instanceof p.Refused)) failures.push(name + ": " + error.stack);
  }
}

const differs = (what, got, want) => (JSON.stringify(got) === JSON.stringify(want) ? "" : `${what} is ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
const sorted = (x) => JSON.stringify(x, (_, value) => (value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value));

const at = { issuer: v.issuer, device: v.device, now: v.now };
for (const a of v.activation) {
  await expect("code " + a.typed, a.good, () => {
    const code = p.parseCode(a.typed);
    return differs("code", [code.text, p.lookup(code)], [a.code, a.lookup]);
  });
}
for (const i of v.invitations) {
  await expect("invitation " + i.name, i.good, () => {
    const got = p.parseInvitation(i.text);
    return differs("invitation", [got.issuer, got.operation, got.code.text, got.key], [i.issuer, i.operation, i.code, i.key]);
  });
}
for (const s of v.scans) {
  await expect("scan " + s.name, s.good, () => {
    const got = p.parseScan(s.text);
    return differs("scan", [got.issuer, got.otp], [s.issuer, s.otp]);
  });
}
for (const d of v.displays) {
  const bytes = Buffer.from(d.display, "base64url");
  await expect("display " + d.name, d.good, () => p.parseDisplay(bytes, d.operation) && "");
  await expect("hash of display " + d.name, true, () => differs("hash", p.displayHash(bytes), d.hash));
}
for (const f of v.factors) {
  const mac = p.b64(p.factorMAC(f.statement, Buffer.from(f.secret, "base64url")));
  await expect("factor", true, () => differs("proven", mac === f.mac, f.good));
}
{
  const r = v.registration;
  const sign = await p.thumbprint(k.device_sign);
  const enc = await p.thumbprint(k.device_enc);
  await expect("registration", true, () =>
    differs(
      "registration",
      [sign, enc, p.registrationMAC(p.parseCode(r.code), sign, enc, r.jti), p.digits(r.operation, sign, enc, r.server_key, r.jti), p.digest(v.server_keys)],
      [r.sign, r.enc, r.mac, r.digits, v.known_keys],
    ),
  );
}
for (const r of v.requests) {
  await expect("request " + r.name + " to " + r.path, r.good, async () => {
    const got = await p.openRequest(r.raw, { ...at, path: r.path, serverKeys: [k.server_enc], signKey: k.device_sign });
    return differs("request", [got.jti, sorted(got.body), got.serverKey], [r.jti, sorted(r.body), k.server_enc.kid]);
  });
}
for (const a of v.answers) {
  await expect("answer " + a.name, a.good, async () => {
    const got = await p.openAnswer(a.raw, { ...at, irt: a.irt, deviceKeys: [k.device_enc], serverKeys: v.server_keys });
    return differs("answer", [got.code, sorted(got.body)], [a.code, sorted(a.body)]);
  });
}
for (const s of v.statements) {
  await expect("statement " + s.name, s.good, async () => {
    await p.openStatement(s.raw, { ...at, purpose: s.purpose, signKey: k.device_sign });
  });
}

// What this implementation says at every endpoint, for the other one to read.
const made = { requests: [], answers: [] };
const own = { ...at, knownKeys: p.digest(v.server_keys) };
const state = async (claims, key = k.device_sign, id = p.newID()) =>
  p.makeStatement({ iss: v.device, aud: v.issuer, iat: v.now, jti: id, ...claims }, key);
const stated = async (claims, more = {}) => {
  const statement = await state(claims);
  return { statement, factors: { pin: p.b64(p.factorMAC(statement, Buffer.alloc(32, 2))) }, ...more };
};
const secret = Buffer.alloc(32, 7);
const keys = { sign: await p.publicJWK(k.next_sign, "sig"), enc: await p.publicJWK(k.next_enc, "enc") };
const rolled = { purpose: "keys", keys };
const rollID = p.newID();
const approval = { purpose: "approval", operation: "op_1", display_hash: v.displays[0].hash, decision: "approve", method: "pin", number: "42" };
const bodies = {
  pending: { wait: 30 },
  fetch: { operation: "op_1" },
  answer: await stated(approval),
  push: { push: null },
  factor: await stated({ purpose: "factor", kind: "pin", secret_hash: p.displayHash(secret) }, { secret: p.b64(secret) }),
  keys: { statement: await state(rolled, k.device_sign, rollID), proof: await state(rolled, k.next_sign, rollID) },
  device: {},
  transfer: await stated({ purpose: "transfer" }),
  disconnect: await stated({ purpose: "disconnect" }),
  "devices/release": await stated({ purpose: "device", target: "dev_2", decision: "deny" }),
};
for (const [name, body] of Object.entries(bodies)) {
  const path = "/mobile/v1/" + name;
  made.requests.push({ path, raw: await p.sealRequest({ ...own, path, id: p.newID(), body }, k.device_sign, k.server_enc) });
}
{
  const path = "/mobile/v1/registrations";
  const code = p.parseCode(v.registration.code);
  const pair = { sign: await p.publicJWK(k.device_sign, "sig"), enc: await p.publicJWK(k.device_enc, "enc") };
  const id = p.newID();
  const body = {
    lookup: p.lookup(code), mac: p.registrationMAC(code, pair.sign.kid, pair.enc.kid, id), keys: pair, application: "bank",
    version: "2.0.1", platform: "ios", factors: { pin: p.b64(secret) },
  };
  made.requests.push({ path, raw: await p.sealRequest({ ...at, device: pair.sign.kid, path, id, body }, k.device_sign, k.server_enc) });
}
for (const code of ["ok", "refused", "gone", "not_allowed", "retry"]) {
  const irt = p.newID();
  const raw = await p.sealAnswer({ ...at, irt, code, body: {}, serverKeys: v.server_keys }, k.server_sign, k.device_enc);
  made.answers.push({ irt, code, raw });
}

console.log(JSON.stringify({ checked, failures, made }));
