// SPDX-License-Identifier: Apache-2.0

package androidkey

import (
	"encoding/asn1"
	"errors"
)

// maxElements bounds what one sequence or set has.
const maxElements = 64

// errDER says that something is not the DER that was expected.
var errDER = errors.New("not the DER that was expected")

// one reads exactly one element of a universal type.
func one(data []byte, tag int) ([]byte, error) {
	var raw asn1.RawValue
	rest, err := asn1.Unmarshal(data, &raw)
	if err != nil || len(rest) > 0 {
		return nil, errDER
	}
	return content(raw, tag)
}

// content returns what is in an element of a universal type. Sequences and sets alone are made of others.
func content(raw asn1.RawValue, tag int) ([]byte, error) {
	if raw.Class != asn1.ClassUniversal || raw.Tag != tag || raw.IsCompound != (tag == asn1.TagSequence || tag == asn1.TagSet) {
		return nil, errDER
	}
	return raw.Bytes, nil
}

// elements splits what is in a sequence or set. The standard library refuses lengths and tags that are not minimal, and lengths
// that are not definite.
func elements(data []byte) ([]asn1.RawValue, error) {
	var all []asn1.RawValue
	for len(data) > 0 {
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(data, &raw)
		if err != nil || len(all) == maxElements {
			return nil, errDER
		}
		all, data = append(all, raw), rest
	}
	return all, nil
}

// number reads an INTEGER or ENUMERATED of 0 to 2^62-1 in its shortest form.
func number(raw asn1.RawValue, tag int) (int64, error) {
	data, err := content(raw, tag)
	if err != nil || len(data) == 0 || len(data) > 8 || data[0]&0xc0 != 0 && len(data) == 8 {
		return 0, errDER
	}
	if data[0]&0x80 != 0 || len(data) > 1 && data[0] == 0 && data[1]&0x80 == 0 {
		return 0, errDER
	}
	var n int64
	for _, b := range data {
		n = n<<8 | int64(b)
	}
	return n, nil
}

// boolean reads a BOOLEAN (X.690, 11.1).
func boolean(raw asn1.RawValue) (bool, error) {
	data, err := content(raw, asn1.TagBoolean)
	if err != nil || len(data) != 1 || data[0] != 0 && data[0] != 0xff {
		return false, errDER
	}
	return data[0] == 0xff, nil
}

// authorizations are the elements of an AuthorizationList by tag, each without its tag.
type authorizations map[int]asn1.RawValue

// authorizationList reads a list whose tags are explicit and ascend.
func authorizationList(raw asn1.RawValue) (authorizations, error) {
	data, err := content(raw, asn1.TagSequence)
	if err != nil {
		return nil, err
	}
	all, err := elements(data)
	if err != nil {
		return nil, err
	}
	list, last := authorizations{}, -1
	for _, tagged := range all {
		if tagged.Class != asn1.ClassContextSpecific || !tagged.IsCompound || tagged.Tag <= last {
			return nil, errDER
		}
		var inner asn1.RawValue
		if rest, err := asn1.Unmarshal(tagged.Bytes, &inner); err != nil || len(rest) > 0 {
			return nil, errDER
		}
		list[tagged.Tag], last = inner, tagged.Tag
	}
	return list, nil
}

// number reads the INTEGER of a tag, and whether there is one.
func (a authorizations) number(tag int) (n int64, found bool, err error) {
	raw, found := a[tag]
	if !found {
		return 0, false, nil
	}
	n, err = number(raw, asn1.TagInteger)
	return n, true, err
}

// numbers reads the SET OF INTEGER of a tag.
func (a authorizations) numbers(tag int) ([]int64, error) {
	raw, found := a[tag]
	if !found {
		return nil, nil
	}
	data, err := content(raw, asn1.TagSet)
	if err != nil {
		return nil, err
	}
	all, err := elements(data)
	if err != nil {
		return nil, err
	}
	var set []int64
	for _, raw := range all {
		n, err := number(raw, asn1.TagInteger)
		if err != nil {
			return nil, err
		}
		set = append(set, n)
	}
	return set, nil
}
