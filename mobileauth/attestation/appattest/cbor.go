// SPDX-License-Identifier: Apache-2.0

package appattest

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// strict reads one form of everything. The limits are the least that the library has.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 16, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8: cbor.UTF8RejectInvalid, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		return nil // the options are constants, and a test reads with them
	}
	return mode
}()

// errCBOR says that something is not what was expected.
var errCBOR = errors.New("not the CBOR that was expected")

// object is what a phone has made once for a key.
type object struct {
	Format    string    `cbor:"fmt"`
	Statement statement `cbor:"attStmt"`
	AuthData  []byte    `cbor:"authData"`
}

type statement struct {
	Chain   [][]byte `cbor:"x5c"`
	Receipt []byte   `cbor:"receipt"`
}

// assertion is what the key has made afterwards.
type assertion struct {
	Signature []byte `cbor:"signature"`
	AuthData  []byte `cbor:"authenticatorData"`
}

// coseKey is a public key on P-256 for ES256 (RFC 9053, 7.1.1), with nothing else in it.
type coseKey struct {
	Type      int    `cbor:"1,keyasint"`
	Algorithm int    `cbor:"3,keyasint"`
	Curve     int    `cbor:"-1,keyasint"`
	X         []byte `cbor:"-2,keyasint"`
	Y         []byte `cbor:"-3,keyasint"`
}

// point is the key as an uncompressed point (SEC 1, 2.3.3).
func (k *coseKey) point() ([]byte, error) {
	if k.Type != 2 || k.Algorithm != -7 || k.Curve != 1 || len(k.X) != coordinate || len(k.Y) != coordinate {
		return nil, errCBOR
	}
	return append(append([]byte{4}, k.X...), k.Y...), nil
}

// extensions is what iOS 27 and later say of the app. What is not known yet is passed over.
type extensions struct {
	BundleVersion string
	Category      []byte
}

// readExtensions reads exactly one map of text to anything, or nothing at all.
func readExtensions(data []byte) (e extensions, found bool, err error) {
	if len(data) == 0 {
		return e, false, nil
	}
	var all map[string]cbor.RawMessage
	if err := strict.Unmarshal(data, &all); err != nil || all == nil {
		return e, false, errCBOR
	}
	for name, into := range map[string]any{"apple_bundle_version_01": &e.BundleVersion, "apple_validation_category_01": &e.Category} {
		if raw, said := all[name]; said && strict.Unmarshal(raw, into) != nil {
			return e, false, errCBOR
		}
	}
	return e, true, nil
}
