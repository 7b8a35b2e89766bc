// SPDX-License-Identifier: Apache-2.0

// Package backend owns who may call the API for back ends: a client that shows an access token of its own, or that
// authenticates with its own credentials. People never do, whatever their tokens say.
package backend
