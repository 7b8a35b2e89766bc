// SPDX-License-Identifier: Apache-2.0

// Package apidocs owns the page that shows an OpenAPI description to people. It loads nothing from elsewhere and runs no
// script: what is described is written into the page.
package apidocs
