// SPDX-License-Identifier: Apache-2.0

// The same as openid.mjs, a layer further down: with oauth4webapi, which repeats nothing by itself.
import * as oauth from 'oauth4webapi'

const [issuer, api, id, secret] = process.argv.slice(2)
const insecure = { [oauth.allowInsecureRequests]: true }

const at = new URL(issuer)
const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, insecure))
const client = { client_id: id }
const key = () => oauth.generateKeyPair('ES256')
// twice does what a server wants a nonce for, and does it once more with the nonce.
const twice = async (what) => {
  try {
    return await what()
  } catch (e) {
    if (!oauth.isDPoPNonceError(e)) throw e
    return what()
  }
}
const call = async (token, DPoP) => {
  try {
    const answer = await twice(() => oauth.protectedResourceRequest(token, 'GET', new URL(api + '/jobs?a=b'), undefined, undefined, { DPoP, ...insecure }))
    return { status: answer.status, body: await answer.text() }
  } catch (e) {
    return { status: e.status ?? e.response?.status, error: e.cause?.[0]?.parameters?.error ?? e.error ?? String(e) }
  }
}

const mine = oauth.DPoP(client, await key())
const grant = async () => oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(
  as, client, oauth.ClientSecretBasic(secret), { scope: 'jobs' }, { DPoP: mine, ...insecure },
))
const push = async () => oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(
  as, client, oauth.ClientSecretBasic(secret), {
    response_type: 'code', redirect_uri: 'http://127.0.0.1/callback', scope: 'jobs', code_challenge_method: 'S256',
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
  }, { DPoP: mine, ...insecure },
))
const pushed = await twice(push)
const tokens = await twice(grant)
const seen = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(
  as, client, oauth.ClientSecretBasic(secret), tokens.access_token, insecure,
))
process.stdout.write(JSON.stringify({
  algorithms: as.dpop_signing_alg_values_supported,
  pushed: pushed.request_uri !== undefined,
  type: tokens.token_type,
  bound: seen.cnf?.jkt === await mine.calculateThumbprint(),
  mine: await call(tokens.access_token, mine),
  again: await call(tokens.access_token, mine),
  thief: await call(tokens.access_token, oauth.DPoP(client, await key())),
  bearer: await call(tokens.access_token),
}) + '\n')
