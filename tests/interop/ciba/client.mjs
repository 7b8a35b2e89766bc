// SPDX-License-Identifier: Apache-2.0

// A back end as others write it, with openid-client from npm: it asks a person (OpenID CIBA), says what it was told in one line of
// JSON, polls, and says what came of it in another.
import * as client from 'openid-client'

const [issuer, id, secret, hint] = process.argv.slice(2)
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

const config = await client.discovery(new URL(issuer), id, secret, undefined, { execute: [client.allowInsecureRequests] })
const { backchannel_authentication_endpoint: endpoint, backchannel_token_delivery_modes_supported: modes } = config.serverMetadata()
const asked = await client.initiateBackchannelAuthentication(config, {
  scope: 'openid transfers', login_hint: hint, binding_message: 'W4SCT',
})
say({ endpoint, modes, number: asked.number, interval: asked.interval, expiresIn: asked.expires_in, id: asked.auth_req_id })

try {
  const tokens = await client.pollBackchannelAuthenticationGrant(config, asked)
  const { sub, acr, aud } = tokens.claims()
  say({ sub, acr, aud, scope: tokens.scope, type: tokens.token_type, active: (await client.tokenIntrospection(config, tokens.access_token)).active })
} catch (e) {
  say({ error: e.error ?? String(e) })
}
