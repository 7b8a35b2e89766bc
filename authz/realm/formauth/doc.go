// SPDX-License-Identifier: Apache-2.0

// Package formauth owns the authenticator that asks people to fill in fields: a user name and a password, or whatever else
// a login module wants to know. It says what to ask and hands over the answers; pages and apps ask in their own way, and a
// login module judges.
package formauth
