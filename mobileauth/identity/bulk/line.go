// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// MaxImportLine is the longest line of an import in bytes.
const MaxImportLine = 256 << 10

const attributePrefix = "attributes."

// LineError says why one line of an import is no user. The lines after it are not affected.
type LineError struct {
	Problem string
}

// Error names the problem.
func (e *LineError) Error() string { return "reading the line: " + e.Problem }

func bad(format string, args ...any) error {
	return &LineError{Problem: fmt.Sprintf(format, args...)}
}

// lineReader splits an import into lines before it looks at any of them, so that no line can swallow the next.
type lineReader struct {
	in     *bufio.Reader
	number int
	parse  func(line []byte) (identity.NewUser, error)
}

func newLineReader(src Source) (*lineReader, error) {
	if src.Reader == nil {
		return nil, errors.New("no reader")
	}
	// The buffer is the limit: it takes the longest line and its line feed.
	r := &lineReader{in: bufio.NewReaderSize(src.Reader, MaxImportLine+1)}
	switch src.Format {
	case NDJSON:
		r.parse = parseJSONLine
	case CSV:
		header, err := r.header(src.Comma)
		if err != nil {
			return nil, err
		}
		r.parse = header.parse
	default:
		return nil, fmt.Errorf("format %q is neither ndjson nor csv", src.Format)
	}
	return r, nil
}

// next returns the next line that is not blank, with its number. A [LineError] concerns this line only; any other error
// ends the import, io.EOF regularly.
func (r *lineReader) next() (int, identity.NewUser, error) {
	line, err := r.line()
	if err != nil {
		return r.number, identity.NewUser{}, err
	}
	n, err := r.parse(line)
	return r.number, n, err
}

// line returns the next line that is not blank, without its line feed; a carriage return before that is space to JSON and
// an end to CSV. The line is valid until the next call.
func (r *lineReader) line() ([]byte, error) {
	for {
		line, err := r.in.ReadSlice('\n')
		r.number++
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, r.discard()
		}
		if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
			return nil, err
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if r.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		switch {
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case !utf8.Valid(line):
			return nil, bad("not valid UTF-8")
		}
		return line, nil
	}
}

// discard skips the rest of a line that does not fit the buffer.
func (r *lineReader) discard() error {
	for {
		_, err := r.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		return bad("longer than %d bytes", MaxImportLine)
	}
}

// jsonLine is a line of an NDJSON import.
type jsonLine struct {
	Login        string            `json:"login"`
	Logins       []string          `json:"logins"`
	ExternalRef  string            `json:"external_ref"`
	Attributes   map[string]string `json:"attributes"`
	Status       identity.Status   `json:"status"`
	StatusReason string            `json:"status_reason"`
	Password     string            `json:"password"`
	PasswordHash string            `json:"password_hash"`
}

func parseJSONLine(line []byte) (identity.NewUser, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
		return identity.NewUser{}, bad("not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var in jsonLine
	if err := dec.Decode(&in); err != nil {
		return identity.NewUser{}, jsonProblem(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return identity.NewUser{}, bad("more than one JSON value")
	}
	logins := in.Logins
	if in.Login != "" {
		logins = append([]string{in.Login}, logins...)
	}
	return identity.NewUser{
		Profile: identity.Profile{ExternalRef: in.ExternalRef, Logins: logins, Attributes: in.Attributes},
		Status:  in.Status, StatusReason: in.StatusReason, Password: in.Password, PasswordHash: in.PasswordHash,
	}, nil
}

// jsonProblem words a decoding error without the values that the library puts into some of them.
func jsonProblem(err error) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType):
		return bad("member %q: want %s", wrongType.Field, wrongType.Type)
	case errors.As(err, &syntax):
		return bad("not valid JSON at byte %d", syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return bad("not valid JSON: it ends too early")
	}
	return bad("a member that is none of login, logins, external_ref, attributes, status, status_reason, password, " +
		"password_hash")
}

// csvHeader is the first line of a CSV import.
type csvHeader struct {
	comma   rune
	columns []string
}

// header reads the first line that is not blank. Without a good one no line can be understood, so its errors end the
// import.
func (r *lineReader) header(comma rune) (*csvHeader, error) {
	h := &csvHeader{comma: comma}
	if comma == 0 {
		h.comma = ','
	}
	line, err := r.line()
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	columns, err := h.fields(line)
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	for i, name := range columns {
		columns[i] = strings.TrimSpace(name)
		if err := checkColumn(columns[:i], columns[i]); err != nil {
			return nil, fmt.Errorf("reading the header: %w", err)
		}
	}
	if !slices.Contains(columns, "login") {
		return nil, errors.New("reading the header: no column is called login")
	}
	h.columns = columns
	return h, nil
}

func checkColumn(before []string, name string) error {
	switch name {
	case "login":
		return nil
	case "external_ref", "status", "status_reason", "password", "password_hash":
	default:
		if key, ok := strings.CutPrefix(name, attributePrefix); !ok || key == "" {
			// Not by name: where the header is missing, this is somebody's password.
			return fmt.Errorf("column %d is none of login, external_ref, status, status_reason, password, "+
				"password_hash, attributes.KEY", len(before)+1)
		}
	}
	if slices.Contains(before, name) {
		return fmt.Errorf("column %q stands twice", name)
	}
	return nil
}

func (h *csvHeader) fields(line []byte) ([]string, error) {
	in := csv.NewReader(bytes.NewReader(line))
	in.Comma = h.comma
	fields, err := in.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		return nil, bad("column %d: %v", parse.Column, parse.Err)
	case err != nil:
		return nil, bad("not valid CSV")
	}
	return fields, nil
}

func (h *csvHeader) parse(line []byte) (identity.NewUser, error) {
	fields, err := h.fields(line)
	if err != nil {
		return identity.NewUser{}, err
	}
	if len(fields) != len(h.columns) {
		return identity.NewUser{}, bad("%d fields where the header has %d", len(fields), len(h.columns))
	}
	var n identity.NewUser
	for i, value := range fields {
		if value != "" {
			set(&n, h.columns[i], value)
		}
	}
	return n, nil
}

// set fills one column in; an empty field is an absent one.
func set(n *identity.NewUser, column, value string) {
	switch column {
	case "login":
		n.Logins = append(n.Logins, value)
	case "external_ref":
		n.ExternalRef = value
	case "status":
		n.Status = identity.Status(value)
	case "status_reason":
		n.StatusReason = value
	case "password":
		n.Password = value
	case "password_hash":
		n.PasswordHash = value
	default:
		if n.Attributes == nil {
			n.Attributes = make(map[string]string)
		}
		n.Attributes[strings.TrimPrefix(column, attributePrefix)] = value
	}
}
