// SPDX-License-Identifier: Apache-2.0

// Package secret owns how a configuration refers to secrets: by placeholders, {env.NAME} and {file.PATH}, which are read where
// the server runs.
package secret
