// SPDX-License-Identifier: Apache-2.0

// Package apps owns what the configuration says about the operator's apps: their options, and the registry that is made of them.
package apps
