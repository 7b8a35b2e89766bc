// SPDX-License-Identifier: Apache-2.0

// Package hooks owns how a service of the operator's is asked about devices over HTTP: one POST of JSON for a device that asks for its
// first certificate, or for one that begins a session, and an answer that says exactly what is to be done. What is no such answer is an
// error, so that nobody is let in by a service that is down, slow, or was not understood.
package hooks
