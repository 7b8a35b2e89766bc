// SPDX-License-Identifier: Apache-2.0

//go:build race

package validation_test

const raceEnabled = true
