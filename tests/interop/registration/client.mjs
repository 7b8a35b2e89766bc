// SPDX-License-Identifier: Apache-2.0

// An app as others write it, with openid-client from npm: it draws a key, registers with it (RFC 7591), gets a token in its own name,
// reads, updates and deletes its registration (RFC 7592), and says what it was told in one line of JSON.
import * as client from 'openid-client'

const [issuer, initialAccessToken] = process.argv.slice(2)
const execute = [client.allowInsecureRequests]

const { publicKey, privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey)
const said = {
  software_id: 'meter', software_version: '7', client_name: 'A meter', grant_types: ['client_credentials'], response_types: [],
  token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ kty, crv, x, y, kid: 'one', use: 'sig', alg: 'ES256' }] },
}
const register = (metadata, token) => client.dynamicClientRegistration(
  new URL(issuer), metadata, client.PrivateKeyJwt({ key: privateKey, kid: 'one' }), { initialAccessToken: token, execute })
const refusal = (e) => e.error ?? e.cause?.[0]?.parameters?.error ?? e.cause?.error ?? String(e)

const config = await register(said, initialAccessToken)
const registered = config.clientMetadata()
const tokens = await client.clientCredentialsGrant(config, { scope: 'meters:write' })

const { registration_client_uri: uri, registration_access_token: token } = registered
const manage = (method, token, body) => fetch(uri, {
  method, headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }, body: body && JSON.stringify(body),
})
const read = await (await manage('GET', token)).json()
const updated = await (await manage('PUT', token, { ...said, client_id: registered.client_id, client_name: 'The meter' })).json()
const stale = (await manage('GET', token)).status
const deleted = (await manage('DELETE', updated.registration_access_token)).status
const gone = (await manage('GET', updated.registration_access_token)).status
const unknown = await client.clientCredentialsGrant(config, { scope: 'meters:write' }).catch(refusal)
const again = await register(said, initialAccessToken).then(() => 'registered', refusal)
const wrong = await register({ ...said, redirect_uris: ['https://evil.example/'] }, initialAccessToken).then(() => 'registered', refusal)

process.stdout.write(JSON.stringify({
  endpoint: config.serverMetadata().registration_endpoint, id: registered.client_id, method: registered.token_endpoint_auth_method,
  scope: tokens.scope, read: read.client_name, updated: updated.client_name, stale, deleted, gone, unknown, again, wrong,
}) + '\n')
