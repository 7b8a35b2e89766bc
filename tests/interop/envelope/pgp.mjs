// SPDX-License-Identifier: Apache-2.0
//
// Holds the OpenPGP vectors against OpenPGP.js, and makes messages for the Go implementation to open. Takes the vectors' file;
// prints one JSON object.

import { readFileSync } from "node:fs";
import { createMessage, decrypt, encrypt, readMessage, readPrivateKey } from "openpgp";

const v = JSON.parse(readFileSync(process.argv[2], "utf8"));
const date = new Date(v.now * 1000);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64url"));
const keys = {};
for (const [name, key] of Object.entries(v.keys)) keys[name] = await readPrivateKey({ binaryKey: bytes(key) });

const failures = [];
for (const m of v.messages) {
  let text;
  try {
    const message = await readMessage({ binaryMessage: bytes(m.message) });
    const { data, signatures } = await decrypt({
      message, decryptionKeys: keys[m.to], verificationKeys: keys[m.from].toPublic(), expectSigned: true, date,
    });
    await signatures[0].verified;
    text = data;
  } catch (error) {
    if (m.good) failures.push(m.name + ": " + error.message);
    continue;
  }
  if (!m.good || text !== m.text) failures.push(m.name + ": taken as " + text);
}

const made = [];
for (const [from, to] of [["device6", "server6"], ["server6", "device6"], ["device4", "server4"], ["server4", "device4"]]) {
  const message = await encrypt({
    message: await createMessage({ text: '{"operation":"op_1"}', date }), encryptionKeys: keys[to].toPublic(), signingKeys: keys[from],
    format: "binary", date,
  });
  made.push({ from, to, message: Buffer.from(message).toString("base64url") });
}
console.log(JSON.stringify({ checked: v.messages.length, failures, made }));
