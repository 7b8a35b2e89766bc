// SPDX-License-Identifier: Apache-2.0
//
// The device protocol in JavaScript, written from docs/device-protocol.md and the RFCs, with `jose` for JWS and JWE. It shares
// nothing with the Go code: the two are held against one another.

import { createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { calculateJwkThumbprint, CompactEncrypt, compactDecrypt, CompactSign, compactVerify, importJWK } from "jose";

export class Refused extends Error {}

function need(condition, why) {
  if (!condition) throw new Refused(why);
}

// ---- encoding

const isBase64url = (text) => /^[A-Za-z0-9_-]*$/.test(text) && Buffer.from(text, "base64url").toString("base64url") === text;
export const b64 = (data) => Buffer.from(data).toString("base64url");
const sha256 = (data) => createHash("sha256").update(data).digest();
const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
const isObject = (v) => v !== null && typeof v === "object" && !Array.isArray(v);

// strictObject reads one JSON object without duplicate members, at any depth.
function strictObject(bytes) {
  const text = Buffer.from(bytes).toString("utf8");
  need(Buffer.from(text, "utf8").equals(Buffer.from(bytes)), "not UTF-8");
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refused("not JSON");
  }
  need(isObject(value), "not an object");
  const open = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]]/gs;
  for (let m = token.exec(text); m; m = token.exec(text)) {
    if (m[0] === "{") open.push(new Set());
    else if (m[0] === "[") open.push(null);
    else if (m[0] === "}" || m[0] === "]") open.pop();
    else if (/^\s*:/.test(text.slice(token.lastIndex))) {
      const name = JSON.parse(m[0]);
      need(!open.at(-1).has(name), "a member twice");
      open.at(-1).add(name);
    }
  }
  return value;
}

const exactly = (object, names) => isObject(object) && Object.keys(object).sort().join() === [...names].sort().join();

// spelled refuses a member that differs from a known one in case only.
function spelled(object, names) {
  for (const name of Object.keys(object)) {
    need(names.includes(name) || !names.some((n) => n.toLowerCase() === name.toLowerCase()), "a member in another case");
  }
}

function parts(raw, n) {
  const list = raw.split(".");
  need(list.length === n && list.every(isBase64url), "not " + n + " parts of base64url");
  return list;
}

// ---- keys

export const thumbprint = (jwk) => calculateJwkThumbprint(jwk, "sha256");
const publicHalf = ({ kty, crv, x, y }) => ({ kty, crv, x, y });

export async function publicJWK(jwk, use) {
  return { use, kty: "EC", kid: await thumbprint(jwk), crv: "P-256", alg: use === "sig" ? "ES256" : "ECDH-ES", x: jwk.x, y: jwk.y };
}

export function digest(set) {
  return b64(sha256(set.keys.map((k) => k.kid + "\n").sort().join("")));
}

// ---- JWE and JWS

const typEncrypted = "gatehouse-device+jwe";

async function encrypt(text, jwk) {
  const key = await importJWK(publicHalf(jwk), "ECDH-ES");
  return new CompactEncrypt(Buffer.from(text))
    .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM", typ: typEncrypted, cty: "JWT", kid: await thumbprint(jwk) })
    .encrypt(key);
}

async function decrypt(raw, limit, jwks) {
  need(Buffer.byteLength(raw) <= limit, "too large");
  const [header, key] = parts(raw, 5);
  const h = strictObject(Buffer.from(header, "base64url"));
  need(exactly(h, ["alg", "enc", "typ", "cty", "kid", "epk"]) && exactly(h.epk, ["kty", "crv", "x", "y"]), "another header");
  need(h.alg === "ECDH-ES" && h.enc === "A256GCM" && h.typ === typEncrypted && h.cty === "JWT" && key === "", "another kind of encryption");
  need(h.epk.kty === "EC" && h.epk.crv === "P-256" && isBase64url(h.epk.x) && isBase64url(h.epk.y), "another kind of key");
  for (const jwk of jwks) {
    if ((await thumbprint(jwk)) !== h.kid) continue;
    try {
      const options = { keyManagementAlgorithms: ["ECDH-ES"], contentEncryptionAlgorithms: ["A256GCM"] };
      const { plaintext } = await compactDecrypt(raw, await importJWK(jwk, "ECDH-ES"), options);
      return { text: Buffer.from(plaintext).toString("utf8"), kid: h.kid };
    } catch {
      throw new Refused("not decrypted");
    }
  }
  throw new Refused("for another key");
}

async function sign(claims, typ, jwk) {
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256", typ, kid: await thumbprint(jwk) })
    .sign(await importJWK(jwk, "ES256"));
}

// read returns header and claims of a token that is not checked yet.
function read(raw, typ) {
  const [header, payload] = parts(raw, 3);
  const h = strictObject(Buffer.from(header, "base64url"));
  need(exactly(h, ["alg", "typ", "kid"]) && h.alg === "ES256" && h.typ === typ, "another header");
  return { kid: h.kid, claims: strictObject(Buffer.from(payload, "base64url")) };
}

async function verify(raw, jwk) {
  try {
    await compactVerify(raw, await importJWK(publicHalf(jwk), "ES256"), { algorithms: ["ES256"] });
  } catch {
    throw new Refused("not signed by its key");
  }
}

const goodID = (id) => typeof id === "string" && /^[A-Za-z0-9_-]{22,64}$/.test(id);
const goodRef = (ref) => typeof ref === "string" && /^[A-Za-z0-9_.:-]{1,128}$/.test(ref);
const within = (iat, now) => Number.isSafeInteger(iat) && Math.abs(iat - now) <= 60;

// ---- requests

export async function sealRequest({ device, issuer, path, id, now, knownKeys, body }, signKey, serverKey) {
  const claims = { v: 1, iss: device, aud: issuer, iat: now, jti: id, htm: "POST", htu: path, body };
  if (knownKeys) claims.known_keys = knownKeys;
  return encrypt(await sign(claims, "gatehouse-request+jws", signKey), serverKey);
}

export async function openRequest(raw, { issuer, path, now, serverKeys, device, signKey }) {
  const { text, kid: serverKey } = await decrypt(raw, path === "/mobile/v1/registrations" ? 32768 : 16384, serverKeys);
  const { kid, claims: c } = read(text, "gatehouse-request+jws");
  spelled(c, ["v", "iss", "aud", "iat", "jti", "htm", "htu", "known_keys", "body"]);
  need(c.v === 1 && goodRef(c.iss) && goodID(c.jti) && isObject(c.body), "a claim is malformed");
  need(c.aud === issuer && c.htm === "POST" && c.htu === path && within(c.iat, now), "meant for another place or time");
  if (path === "/mobile/v1/registrations") {
    await checkRegistration(c.body);
    signKey = c.body.keys.sign;
    device = await thumbprint(signKey);
  }
  need(c.iss === device && kid === (await thumbprint(signKey)), "of another device or key");
  await verify(text, signKey);
  return { ...c, serverKey };
}

const word = (text) => typeof text === "string" && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(text);

async function checkRegistration(body) {
  need(isObject(body.keys) && isObject(body.keys.sign) && isObject(body.keys.enc), "a key is missing");
  need((await thumbprint(body.keys.sign)) !== (await thumbprint(body.keys.enc)), "one key for both purposes");
  need(/^[A-Za-z0-9_-]{22}$/.test(body.lookup) && word(body.application) && word(body.version) && word(body.platform), "a member is malformed");
  need(Object.keys(body.factors ?? {}).every((kind) => factor.test(kind)), "an unknown factor");
  for (const text of [body.model, body.os, body.name, body.handset]) need(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/u.test(text ?? ""), "not plain text");
}

// ---- answers

export async function sealAnswer({ issuer, device, irt, now, code, body, serverKeys }, signKey, deviceKey) {
  const claims = { v: 1, iss: issuer, aud: device, iat: now, jti: newID(), irt, code, body };
  if (serverKeys) claims.server_keys = serverKeys;
  return encrypt(await sign(claims, "gatehouse-answer+jws", signKey), deviceKey);
}

export async function openAnswer(raw, { issuer, device, irt, deviceKeys, serverKeys }) {
  const { text } = await decrypt(raw, 65536, deviceKeys);
  const { kid, claims: c } = read(text, "gatehouse-answer+jws");
  spelled(c, ["v", "iss", "aud", "iat", "jti", "irt", "code", "body", "server_keys"]);
  need(c.v === 1 && goodID(c.jti) && Number.isSafeInteger(c.iat) && isObject(c.body), "a claim is malformed");
  need(["ok", "refused", "gone", "not_allowed", "retry"].includes(c.code), "an unknown code");
  need(c.iss === issuer && c.aud === device && c.irt === irt, "of another server, for another device or to another request");
  const find = (set) => set?.keys.find((k) => k.use === "sig" && k.kid === kid);
  const key = find(serverKeys) ?? find(c.server_keys);
  need(key, "signed by an unknown key");
  need((await thumbprint(key)) === kid, "a key with another name");
  await verify(text, key);
  return c;
}

// ---- statements

const claimsOf = {
  approval: ["operation", "display_hash", "decision", "reason", "number", "method"],
  factor: ["kind", "secret_hash"],
  keys: ["keys"],
  transfer: [],
  disconnect: [],
  device: ["target", "decision"],
};
const common = ["v", "iss", "aud", "iat", "jti", "purpose"];
const factor = /^(?:pin|biometric|custom:[a-z0-9_-]{1,32})$/;

function fits(c) {
  const decided = c.decision === "approve" || c.decision === "deny";
  switch (c.purpose) {
    case "approval":
      if (!goodRef(c.operation) || !/^[A-Za-z0-9_-]{43}$/.test(c.display_hash) || !decided) return false;
      if (c.decision === "deny") return !c.number && !c.method && ["denied", "not_me", "incorrect_data"].includes(c.reason);
      return !c.reason && (c.method === "possession" || factor.test(c.method)) && (!c.number || /^[0-9]{1,12}$/.test(c.number));
    case "factor":
      return factor.test(c.kind);
    case "keys":
      return isObject(c.keys) && isObject(c.keys.sign) && isObject(c.keys.enc);
    case "device":
      return goodRef(c.target) && decided;
    default:
      return true;
  }
}

export async function makeStatement(claims, signKey) {
  return sign({ v: 1, ...claims }, "gatehouse-statement+jws", signKey);
}

export async function openStatement(raw, { issuer, device, purpose, now, signKey }) {
  const { kid, claims: c } = read(raw, "gatehouse-statement+jws");
  need(kid === (await thumbprint(signKey)), "by another key");
  await verify(raw, signKey);
  need(c.v === 1 && goodID(c.jti) && c.iss === device && c.aud === issuer && within(c.iat, now), "of another device, issuer or time");
  need(c.purpose === purpose && purpose in claimsOf && fits(c), "for another purpose, or claims that do not fit it");
  const known = Object.values(claimsOf).flat();
  for (const name of known) need(!(name in c) || claimsOf[purpose].includes(name), "a claim of another purpose");
  spelled(c, [...common, ...known]);
  return c;
}

export const factorMAC = (statement, secret) => hmac(secret, statement.slice(0, statement.lastIndexOf(".")));

// ---- registration

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function crc16(data) {
  let crc = 0;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

export function parseCode(typed) {
  const clean = typed.toUpperCase().replace(/[ -]/g, "").replace(/0/g, "O").replace(/1/g, "I").replace(/8/g, "B");
  need(clean.length === 20 && [...clean].every((c) => alphabet.includes(c)), "not a code");
  let bits = 0n;
  for (const c of clean) bits = (bits << 5n) | BigInt(alphabet.indexOf(c));
  need((bits & 15n) === 0n, "not a code");
  const raw = Buffer.from((bits >> 4n).toString(16).padStart(24, "0"), "hex");
  need(raw.readUInt16BE(10) === crc16(raw.subarray(0, 10)), "mistyped");
  return { random: raw.subarray(0, 10), text: clean.match(/.{5}/g).join("-") };
}

const derive = (code, info, n) => Buffer.from(hkdfSync("sha256", code.random, Buffer.alloc(0), info, n));
export const lookup = (code) => b64(derive(code, "gatehouse activation lookup v1", 16));

export function registrationMAC(code, sign, enc, jti) {
  const text = ["gatehouse registration v1", lookup(code), sign, enc, jti].join("\n");
  return b64(hmac(derive(code, "gatehouse activation mac v1", 32), text));
}

export function digits(operation, sign, enc, serverKey, jti) {
  const sum = sha256(["gatehouse digits v1", operation, sign, enc, serverKey, jti].join("\n"));
  return (sum.readBigUInt64BE(0) % 1000000n).toString().padStart(6, "0");
}

export function parseInvitation(text) {
  need(text.startsWith("gatehouse://enroll?"), "not an invitation");
  const values = new URLSearchParams(text.slice("gatehouse://enroll?".length));
  need([...values.keys()].sort().join() === "code,issuer,key,operation,v" && values.get("v") === "1", "other parameters");
  const issuer = new URL(values.get("issuer"));
  need(/^https?:$/.test(issuer.protocol) && !issuer.username && !issuer.search && !issuer.hash, "another issuer");
  return { issuer: values.get("issuer"), operation: values.get("operation"), code: parseCode(values.get("code")), key: values.get("key") };
}

export function parseScan(text) {
  need(text.startsWith("gatehouse://claim?"), "nothing to claim");
  const values = new URLSearchParams(text.slice("gatehouse://claim?".length));
  need([...values.keys()].sort().join() === "issuer,otp,v" && values.get("v") === "1", "other parameters");
  const issuer = new URL(values.get("issuer"));
  need(/^https?:$/.test(issuer.protocol) && !issuer.username && !issuer.search && !issuer.hash, "another issuer");
  need(/^[A-Z2-7]{26,64}$/.test(values.get("otp")), "no otp");
  return { issuer: values.get("issuer"), otp: values.get("otp") };
}

// ---- what is shown

const members = ["v", "operation", "kind", "application", "title", "content", "fields", "language", "created", "expires", "number_match", "methods", "secure_message", "signing_data"];

export const displayHash = (bytes) => b64(sha256(bytes));

export function parseDisplay(bytes, operation) {
  const d = strictObject(bytes);
  need(d.v === 1 && d.operation === operation && Object.keys(d).every((name) => members.includes(name)), "another version or operation, or more than is known");
  need((d.fields ?? []).every((f) => Object.keys(f).every((name) => ["type", "label", "value", "currency"].includes(name))), "more than is known");
  need(d.methods?.length > 0 && d.methods.every((m) => m === "possession" || factor.test(m)), "no methods");
  return d;
}

export const newID = () => b64(randomBytes(32));
