// SPDX-License-Identifier: Apache-2.0

// Package grading owns which evidence an application takes on which platform: it reads the object in which a phone sends evidence
// (docs/device-protocol.md) and has the verifier of its format judge it. The registration of phones asks it through
// enrolment.Grader.
package grading
