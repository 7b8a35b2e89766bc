// SPDX-License-Identifier: Apache-2.0

// Package maxmind owns finding out where an address is in a file in MaxMind's format: GeoLite2-City, GeoIP2-City, or another
// that has countries, subdivisions and cities in the same places.
//
// The file is read into memory whole and checked before it is used, so that neither a file that is cut off nor one that is
// written over while it is read can bring the program down. A new file takes the place of the old one when its time or its size
// has changed; one that is broken leaves the old one in use, and is told to the operator.
package maxmind
