// SPDX-License-Identifier: Apache-2.0

// Package playintegrity owns Google's Play Integrity verdicts, as far as they can be read without asking Google: those of classic
// requests, for an app whose response encryption keys the operator manages
// (https://developer.android.com/google/play/integrity/classic). The token is JWE of A256KW and A256GCM, and inside is JWS of ES256,
// under two keys that the Play Console shows.
//
// A verdict is about the app and the state of the phone. It says nothing of where the phone's keys are: the best grade that it can
// have is tee, where the phone proves with its trusted part that it runs a system of its manufacturer's.
package playintegrity
