// SPDX-License-Identifier: Apache-2.0

//go:build !race

package sieve_test

const raceEnabled = false
