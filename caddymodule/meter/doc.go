// SPDX-License-Identifier: Apache-2.0

// Package meter owns what is counted: the collectors of the process, which outlive every configuration, and the gauges that
// are read from the one that runs.
package meter
