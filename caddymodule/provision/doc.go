// SPDX-License-Identifier: Apache-2.0

// Package provision owns the block "provisioning" of the configuration: who issues certificates for devices, to whom, and what their
// keys stand for; and it builds what does it.
package provision
