// SPDX-License-Identifier: Apache-2.0

package randid_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/randid"
)

func TestParseHandle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value string
		want        randid.Handle
		ok          bool
	}{
		{"id and secret", "ats_a.b", randid.Handle{ID: "ats_a", Secret: "b"}, true},
		{"a dot in the secret", "ats_a.b.c", randid.Handle{ID: "ats_a", Secret: "b.c"}, true},
		{"as long as can be", "ats_a." + strings.Repeat("b", 122), randid.Handle{ID: "ats_a", Secret: strings.Repeat("b", 122)}, true},
		{"too long", "ats_a." + strings.Repeat("b", 123), randid.Handle{}, false},
		{"nothing", "", randid.Handle{}, false},
		{"no secret", "ats_a.", randid.Handle{}, false},
		{"no dot", "ats_a", randid.Handle{}, false},
		{"no id", ".b", randid.Handle{}, false},
		{"of other records", "ses_a.b", randid.Handle{}, false},
		{"of records with a longer prefix", "atsx_a.b", randid.Handle{}, false},
		{"another case", "ATS_a.b", randid.Handle{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := randid.ParseHandle("ats", tt.value)
			if ok != tt.ok || ok && (got != tt.want || got.String() != tt.value) {
				t.Errorf("ParseHandle = %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// A handle opens what was kept of it and nothing else; the one that takes its place names the same record.
func TestHandle(t *testing.T) {
	t.Parallel()
	h := randid.NewHandle("ats")
	next, other := h.Next(), randid.NewHandle("ats")
	if h.ID == other.ID || h.Secret == other.Secret || next.ID != h.ID || next.Secret == h.Secret {
		t.Errorf("drawn were %+v, %+v and %+v", h, next, other)
	}
	if !h.Opens(h.Hash()) || h.Opens(next.Hash()) || h.Opens("") || h.Opens(h.Secret) || (randid.Handle{}).Opens("") {
		t.Error("the wrong one opens it, or the right one does not")
	}
	if parsed, ok := randid.ParseHandle("ats", h.String()); !ok || parsed != h {
		t.Errorf("%q is read as %+v", h, parsed)
	}
	if strings.Contains(h.Hash(), h.Secret) {
		t.Error("what is kept tells the secret")
	}
}
