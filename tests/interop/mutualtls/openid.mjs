// SPDX-License-Identifier: Apache-2.0

// A client of others that shows a certificate, with openid-client: it finds by itself where.
import * as client from 'openid-client'
import { api, as, boundTo, id, issuer, name, other, says, thumbprint, told } from './shown.mjs'

const discover = (shows) => client.discovery(
  new URL(issuer), id, { use_mtls_endpoint_aliases: true }, client.TlsClientAuth(), { [client.customFetch]: as(shows) },
)
const mine = await discover(name)
const grant = async (config) => client.clientCredentialsGrant(config, { scope: 'jobs' })
const tokens = await grant(mine)
const call = (config) => told(() => client.fetchProtectedResource(config, tokens.access_token, new URL(api + '/jobs'), 'GET'))
const thief = await discover(other)
const nobody = await discover('')
says({
  aliases: mine.serverMetadata().mtls_endpoint_aliases.token_endpoint,
  methods: mine.serverMetadata().token_endpoint_auth_methods_supported.filter((m) => m.includes('tls')),
  bound: boundTo(tokens.access_token) === thumbprint,
  mine: await call(mine),
  thief: await call(thief),
  nobody: await call(nobody),
  impostor: await told(() => grant(thief)),
})
