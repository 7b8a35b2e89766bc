// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"strings"
	"unicode/utf16"
)

// Encoding is how a message travels.
type Encoding string

// The encodings (3GPP TS 23.038).
const (
	// GSM7 takes the letters of western Europe, seven bits each.
	GSM7 Encoding = "GSM-7"
	// UCS2 takes everything, sixteen bits each. One character that GSM-7 lacks makes the whole message so.
	UCS2 Encoding = "UCS-2"
)

const (
	// gsmBasic is the basic character set of 3GPP TS 23.038, section 6.2.1, but for the escape.
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿" +
		"abcdefghijklmnopqrstuvwxyzäöñüà"
	// gsmExtension is section 6.2.1.1: an escape comes first, so each takes the room of two.
	gsmExtension = "\f^{}\\[~]|€"
)

// room is how much fits into a message of one part, and into each part of one with several, where a header takes room.
var room = map[Encoding]struct{ single, part int }{GSM7: {160, 153}, UCS2: {70, 67}}

// Segments returns how many messages a text is paid as, and how it travels. A character is never split between two of them. An empty
// text is one.
func Segments(text string) (n int, encoding Encoding) {
	sizes, encoding := sizesOf(text)
	total := 0
	for _, size := range sizes {
		total += size
	}
	fits := room[encoding]
	if total <= fits.single {
		return 1, encoding
	}
	n, used := 1, 0
	for _, size := range sizes {
		if used+size > fits.part {
			n, used = n+1, 0
		}
		used += size
	}
	return n, encoding
}

// sizesOf returns how much room each character takes.
func sizesOf(text string) ([]int, Encoding) {
	sizes := make([]int, 0, len(text))
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			sizes = append(sizes, 1)
		case strings.ContainsRune(gsmExtension, r):
			sizes = append(sizes, 2)
		default:
			return wide(text), UCS2
		}
	}
	return sizes, GSM7
}

func wide(text string) []int {
	sizes := make([]int, 0, len(text))
	for _, r := range text {
		sizes = append(sizes, max(1, utf16.RuneLen(r)))
	}
	return sizes
}
