// SPDX-License-Identifier: Apache-2.0

//go:build race

package outbox_test

const raceDetector = true
