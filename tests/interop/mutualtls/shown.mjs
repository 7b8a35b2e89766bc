// SPDX-License-Identifier: Apache-2.0

// What both clients share: a fetch that shows a certificate, and what they are told by whom they call.
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import https from 'node:https'

export const [issuer, api, id, folder, name, other] = process.argv.slice(2)

const pem = (file) => readFileSync(`${folder}/${file}`)

// as returns a fetch over connections that show the certificate of a name, or none.
export const as = (name) => (url, { method, headers, body }) => new Promise((resolve, reject) => {
  const shown = name ? { cert: pem(`${name}.pem`), key: pem(`${name}.key`) } : {}
  const request = https.request(url, { method, headers, ca: pem('servers.pem'), ...shown, agent: false }, (answer) => {
    const parts = []
    answer.on('data', (part) => parts.push(part))
    answer.on('end', () => resolve(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })))
  })
  request.on('error', reject)
  request.end(body?.toString())
})

export const thumbprint = createHash('sha256').update(new X509Certificate(pem(`${name}.pem`)).raw).digest('base64url')

export const boundTo = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).cnf?.['x5t#S256']

// told calls and says what came of it.
export const told = async (what) => {
  try {
    const answer = await what()
    return { status: answer.status ?? 200, body: answer.text ? await answer.text() : '' }
  } catch (e) {
    return { status: e.status ?? e.response?.status, error: e.cause?.[0]?.parameters?.error ?? e.error ?? String(e) }
  }
}

export const says = (what) => process.stdout.write(JSON.stringify(what) + '\n')
