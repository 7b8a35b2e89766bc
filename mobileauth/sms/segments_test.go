// SPDX-License-Identifier: Apache-2.0

package sms_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       int
		encoding   sms.Encoding
	}{
		{"nothing", "", 1, sms.GSM7},
		{"160", strings.Repeat("a", 160), 1, sms.GSM7},
		{"161", strings.Repeat("a", 161), 2, sms.GSM7},
		{"two full parts", strings.Repeat("a", 306), 2, sms.GSM7},
		{"one more", strings.Repeat("a", 307), 3, sms.GSM7},
		{"the basic set", "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà", 1, sms.GSM7},
		{"80 of the extension", strings.Repeat("€", 80), 1, sms.GSM7},
		{"81 of the extension", strings.Repeat("€", 81), 2, sms.GSM7},
		{"the whole extension", "\f^{}\\[~]|€" + strings.Repeat("a", 140), 1, sms.GSM7},
		{"the whole extension and one more", "\f^{}\\[~]|€" + strings.Repeat("a", 141), 2, sms.GSM7},
		// 152 and an escape of two do not fit into 153: the first part is one short, and the last character makes a third.
		{"an escape at the edge", strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3, sms.GSM7},
		{"a letter at the edge", strings.Repeat("a", 152) + "a" + strings.Repeat("a", 153), 2, sms.GSM7},
		{"70 of another script", strings.Repeat("ж", 70), 1, sms.UCS2},
		{"71 of another script", strings.Repeat("ж", 71), 2, sms.UCS2},
		{"134 of another script", strings.Repeat("ж", 134), 2, sms.UCS2},
		{"135 of another script", strings.Repeat("ж", 135), 3, sms.UCS2},
		{"one curly quote", strings.Repeat("a", 70) + "’", 2, sms.UCS2},
		{"a small ç", "ç", 1, sms.UCS2},
		{"35 emoji", strings.Repeat("🎉", 35), 1, sms.UCS2},
		{"36 emoji", strings.Repeat("🎉", 36), 2, sms.UCS2},
		{"emoji that do not split", strings.Repeat("🎉", 67), 3, sms.UCS2},
		{"no UTF-8", "\xff", 1, sms.UCS2},
		{"a bound code", "Your code: 123456. Do not share it.\n@login.example.com #123456", 1, sms.GSM7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, encoding := sms.Segments(tt.text); got != tt.want || encoding != tt.encoding {
				t.Errorf("Segments = %d, %s, want %d, %s", got, encoding, tt.want, tt.encoding)
			}
		})
	}
}

// A text is never cheaper than a part of it, and no dearer than its characters allow.
func TestSegmentsGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := []rune(rapid.StringOfN(rapid.RuneFrom([]rune("a€жé🎉 \n{")), 0, 500, -1).Draw(t, "text"))
		cut := rapid.IntRange(0, len(text)).Draw(t, "cut")
		whole, _ := sms.Segments(string(text))
		part, _ := sms.Segments(string(text[:cut]))
		if part > whole || whole > len(text)/33+1 {
			t.Errorf("%d of %d characters are %d segments of %d", cut, len(text), part, whole)
		}
	})
}
