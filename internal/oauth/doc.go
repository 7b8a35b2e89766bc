// SPDX-License-Identifier: Apache-2.0

// Package oauth owns the wire vocabulary of OAuth 2.0 and OpenID Connect: error codes and their status, scopes, request
// parameters, PKCE, redirect URI comparison, prompts and authentication challenges. It decides nothing about clients,
// users or tokens and imports nothing of ours.
package oauth
