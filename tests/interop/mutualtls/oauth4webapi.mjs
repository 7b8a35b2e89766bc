// SPDX-License-Identifier: Apache-2.0

// The same as openid.mjs, a layer further down: with oauth4webapi.
import * as oauth from 'oauth4webapi'
import { api, as, boundTo, id, issuer, name, other, says, thumbprint, told } from './shown.mjs'

const shows = (name) => ({ [oauth.customFetch]: as(name) })
const at = new URL(issuer)
const server = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, shows('')))
const client = { client_id: id, use_mtls_endpoint_aliases: true }
const grant = async (by) => oauth.processClientCredentialsResponse(server, client, await oauth.clientCredentialsGrantRequest(
  server, client, oauth.TlsClientAuth(), { scope: 'jobs' }, shows(by),
))
const tokens = await grant(name)
const call = (by) => told(() => oauth.protectedResourceRequest(
  tokens.access_token, 'GET', new URL(api + '/jobs'), undefined, undefined, shows(by),
))
says({
  aliases: server.mtls_endpoint_aliases.token_endpoint,
  methods: server.token_endpoint_auth_methods_supported.filter((m) => m.includes('tls')),
  bound: boundTo(tokens.access_token) === thumbprint,
  mine: await call(name),
  thief: await call(other),
  nobody: await call(''),
  impostor: await told(() => grant(other)),
})
