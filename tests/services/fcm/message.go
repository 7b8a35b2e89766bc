// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Limits of Google's.
const (
	maxData = 4096
	maxTTL  = 2_419_200 // seconds
)

// message is what is sent, as far as this service knows it. Fields beside these are refused as fields that do not exist are.
type message struct {
	Token        string            `json:"token"`
	Data         map[string]string `json:"data"`
	Notification *struct {
		Title string `json:"title"`
		Body  string `json:"body"`
		Image string `json:"image"`
	} `json:"notification"`
	Android struct {
		CollapseKey  string            `json:"collapse_key"`
		Priority     string            `json:"priority"`
		TTL          string            `json:"ttl"`
		Package      string            `json:"restricted_package_name"`
		Data         map[string]string `json:"data"`
		DirectBootOK bool              `json:"direct_boot_ok"`
	} `json:"android"`
	dry bool
	raw json.RawMessage
}

var duration = regexp.MustCompile(`^([0-9]{1,10})(\.[0-9]{1,9})?s$`)

// read reads a message and names the field that is wrong.
func read(r *http.Request) (*message, *fault) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return nil, violation("")
	}
	var request struct {
		ValidateOnly bool            `json:"validate_only"`
		Message      json.RawMessage `json:"message"`
	}
	m := &message{}
	if strict(body, &request) != nil || strict(request.Message, m) != nil {
		return nil, violation("message")
	}
	m.dry, m.raw = request.ValidateOnly, request.Message
	switch {
	case m.Token == "":
		return nil, violation("message.token")
	case !goodData(m.Data):
		return nil, violation("message.data")
	case m.Android.Priority != "" && m.Android.Priority != "NORMAL" && m.Android.Priority != "HIGH":
		return nil, violation("message.android.priority")
	case m.Android.TTL != "" && !goodTTL(m.Android.TTL):
		return nil, violation("message.android.ttl")
	}
	return m, nil
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func goodData(data map[string]string) bool {
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
		if key == "from" || key == "message_type" || strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.notification.") {
			return false
		}
	}
	return size <= maxData
}

func goodTTL(text string) bool {
	parts := duration.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	seconds, err := strconv.Atoi(parts[1])
	return err == nil && seconds <= maxTTL
}

// fault is an answer that accepts nothing.
type fault struct {
	http   int
	status string
	code   string   // of Firebase's own detail
	fields []string // that are wrong
}

func violation(field string) *fault {
	return &fault{http.StatusBadRequest, "INVALID_ARGUMENT", "INVALID_ARGUMENT", []string{field}}
}

// faultOf is Google's answer with a code of Firebase's; nil where there is none.
func faultOf(code string) *fault {
	switch code {
	case "INVALID_ARGUMENT":
		return &fault{http.StatusBadRequest, "INVALID_ARGUMENT", code, nil}
	case "UNREGISTERED":
		return &fault{http.StatusNotFound, "NOT_FOUND", code, nil}
	case "SENDER_ID_MISMATCH":
		return &fault{http.StatusForbidden, "PERMISSION_DENIED", code, nil}
	}
	return nil
}

func (f fault) write(w http.ResponseWriter) {
	details := []any{}
	if f.code != "" {
		details = append(details, map[string]string{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": f.code})
	}
	if len(f.fields) > 0 {
		violations := []any{}
		for _, field := range f.fields {
			violations = append(violations, map[string]string{"field": field, "description": "Invalid value"})
		}
		details = append(details, map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
	}
	write(w, f.http, map[string]any{"error": map[string]any{
		"code": f.http, "message": "Request was refused.", "status": f.status, "details": details,
	}})
}
