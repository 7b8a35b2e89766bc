// SPDX-License-Identifier: Apache-2.0

// An app as others write it, with openid-client from npm: it gets a token that is bound to its key, calls an API with it, and says
// what came of it in one line of JSON; then what comes of it for whoever has copied the token.
import * as client from 'openid-client'

const [issuer, api, id, secret] = process.argv.slice(2)

const config = await client.discovery(new URL(issuer), id, secret, undefined, { execute: [client.allowInsecureRequests] })
const holder = async () => client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const call = async (token, DPoP) => {
  try {
    const answer = await client.fetchProtectedResource(config, token, new URL(api + '/jobs?a=b'), 'GET', undefined, undefined, { DPoP })
    return { status: answer.status, body: await answer.text() }
  } catch (e) {
    return { status: e.status ?? e.response?.status, error: e.cause?.[0]?.parameters?.error ?? e.error ?? String(e) }
  }
}

const mine = await holder()
const pushed = await client.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: 'http://127.0.0.1/callback', scope: 'jobs', code_challenge_method: 'S256',
  code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
}, { DPoP: mine })
const tokens = await client.clientCredentialsGrant(config, { scope: 'jobs' }, { DPoP: mine })
const seen = await client.tokenIntrospection(config, tokens.access_token)
process.stdout.write(JSON.stringify({
  algorithms: config.serverMetadata().dpop_signing_alg_values_supported,
  pushed: pushed.searchParams.has('request_uri'),
  type: tokens.token_type,
  bound: seen.cnf?.jkt === await mine.calculateThumbprint(),
  mine: await call(tokens.access_token, mine),
  again: await call(tokens.access_token, mine),
  thief: await call(tokens.access_token, await holder()),
  bearer: await call(tokens.access_token),
}) + '\n')
