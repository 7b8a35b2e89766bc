// SPDX-License-Identifier: Apache-2.0
//
// An API that is protected by the tokens of a Gatehouse elsewhere, checked by the issuer's published keys. See the README
// beside it.
import { createServer } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const { ISSUER, AUDIENCE, LISTEN } = process.env;
const metadata = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

// Everything that RFC 9068 asks of an access token: its type, who issued it, whom it is for, and the claims it must have.
const expected = {
  issuer: ISSUER,
  audience: AUDIENCE,
  typ: "at+jwt",
  algorithms: ["ES256", "EdDSA", "RS256"],
  requiredClaims: ["exp", "iat", "sub", "client_id", "jti"],
};

// protect lets a request pass that has a valid token with the scope (RFC 6750).
const protect = (scope, handler) => async (request, response) => {
  const refuse = (status, challenge) => response.writeHead(status, { "WWW-Authenticate": `Bearer ${challenge}` }).end();
  const [, token] = /^Bearer +([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (!token) return refuse(401, 'realm="accounts"');
  try {
    const { payload } = await jwtVerify(token, keys, expected);
    if (!(payload.scope ?? "").split(" ").includes(scope)) {
      return refuse(403, `error="insufficient_scope", scope="${scope}"`);
    }
    return handler(request, response, payload);
  } catch (error) {
    if (error instanceof errors.JOSEError) return refuse(401, 'error="invalid_token"');
    return response.writeHead(503, { "Retry-After": "1" }).end(); // the keys could not be fetched
  }
};

const accounts = protect("accounts:read", (_, response, token) => response.end(`the accounts of ${token.sub}\n`));

const server = createServer((request, response) => {
  if (request.method === "GET" && request.url === "/accounts") return accounts(request, response);
  return response.writeHead(404).end();
});
const [host, port] = LISTEN.split(":");
server.listen(Number(port), host, () => console.log(`listening on ${host}:${server.address().port}`));
