// SPDX-License-Identifier: Apache-2.0

package appattest

import (
	"encoding/binary"
)

const (
	coordinate = 32 // bytes in a coordinate of P-256
	hashLen    = 32 // bytes in the name of an app, and of a key
	fixedLen   = 37 // bytes in front: the name of the app, flags, counter
	aaguidLen  = 16
)

// authData is what stands in authenticator data. The flags are not read: Apple does not set them by what follows.
type authData struct {
	app     []byte
	counter uint32

	aaguid, credential, point []byte // of an attestation alone

	extensions extensions
	extended   bool
}

// readFixed reads what both objects begin with, and returns the rest.
func readFixed(data []byte) (a authData, rest []byte, err error) {
	if len(data) < fixedLen {
		return a, nil, errCBOR
	}
	a.app, a.counter = data[:hashLen], binary.BigEndian.Uint32(data[hashLen+1:fixedLen])
	return a, data[fixedLen:], nil
}

// readAttested reads the data of an attestation.
func readAttested(data []byte) (a authData, err error) {
	a, rest, err := readFixed(data)
	if err != nil {
		return a, err
	}
	const head = aaguidLen + 2
	if len(rest) < head+hashLen || binary.BigEndian.Uint16(rest[aaguidLen:head]) != hashLen {
		return a, errCBOR
	}
	a.aaguid, a.credential, rest = rest[:aaguidLen], rest[head:head+hashLen], rest[head+hashLen:]
	var key coseKey
	if rest, err = strict.UnmarshalFirst(rest, &key); err != nil {
		return a, errCBOR
	}
	if a.point, err = key.point(); err != nil {
		return a, err
	}
	a.extensions, a.extended, err = readExtensions(rest)
	return a, err
}

// readAsserted reads the data of an assertion.
func readAsserted(data []byte) (a authData, err error) {
	a, rest, err := readFixed(data)
	if err != nil {
		return a, err
	}
	a.extensions, a.extended, err = readExtensions(rest)
	return a, err
}
