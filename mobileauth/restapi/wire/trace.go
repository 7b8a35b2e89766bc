// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/http"
	"regexp"
	"strings"
)

// Trace ties an answer to its log lines, and to the trace of whoever asked.
type Trace struct {
	RequestID string
	// Parent is the caller's traceparent (W3C Trace Context), empty when there was none that is well formed.
	Parent string
}

var validParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{1,200})?$`)

const lenParent = 55 // of version 00

// isParent reports whether a traceparent is well formed: version 00 exactly, later ones as far as they are like it, and no id
// of zeros only (W3C Trace Context 3.2.2).
func isParent(line string) bool {
	switch {
	case !validParent.MatchString(line), strings.HasPrefix(line, "ff"):
		return false
	case strings.HasPrefix(line, "00") && len(line) != lenParent:
		return false
	}
	return strings.Trim(line[3:35], "0") != "" && strings.Trim(line[36:52], "0") != ""
}

// TraceOf reads the trace of a request. A malformed header is as good as none (W3C Trace Context 3.2.2.3).
func TraceOf(r *http.Request, requestID string) Trace {
	t := Trace{RequestID: requestID}
	lines := r.Header["Traceparent"]
	if len(lines) == 1 && isParent(lines[0]) {
		t.Parent = lines[0]
	}
	return t
}

// ID returns the id of the caller's trace; empty when there is none.
func (t Trace) ID() string {
	if t.Parent == "" {
		return ""
	}
	return t.Parent[3:35]
}

// Echo sets the headers that name the request in the answer.
func (t Trace) Echo(h http.Header) {
	h.Set("X-Request-Id", t.RequestID)
	if t.Parent != "" {
		h.Set("Traceparent", t.Parent)
	}
}
