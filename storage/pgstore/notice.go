// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// noticeVersion is how a notice begins.
	noticeVersion = "gatehouse1"
	// anything stands for all tables.
	anything = "*"
	// maxNotice is the length of a notice: PostgreSQL refuses 8000 bytes.
	maxNotice = 7800
	maxTable  = 64 // bytes in the name of a table in a notice
	maxSender = 64 // bytes in the name of a sender
	maxChange = 64 // tables in a notice
)

// notice is what one node tells the others: that it has committed, and to what.
type notice struct {
	sender string
	// number counts the notices of a sender, so that the others know when they have missed one.
	number uint64
	// changes are what it is about. Nil is anything.
	changes storage.Changes
}

var errNotice = errors.New("not a notice")

// text returns the notice as it is sent:
//
//	gatehouse1 <sender> <number> *
//	gatehouse1 <sender> <number> <table>[=<mark>.<mark>...] ...
//
// What does not fit says less: tables without marks, or all tables.
func (n *notice) text() string {
	for _, marks := range []bool{true, false} {
		if text, ok := n.write(marks); ok && len(text) <= maxNotice {
			return text
		}
	}
	return n.head() + " " + anything
}

func (n *notice) head() string {
	return noticeVersion + " " + n.sender + " " + strconv.FormatUint(n.number, 10)
}

func (n *notice) write(withMarks bool) (text string, ok bool) {
	if len(n.changes) == 0 || len(n.changes) > maxChange {
		return "", false
	}
	var b strings.Builder
	b.WriteString(n.head())
	for _, table := range slices.Sorted(maps.Keys(n.changes)) {
		if !isName(table, maxTable) {
			return "", false
		}
		b.WriteString(" " + table)
		if !withMarks {
			continue
		}
		for i, mark := range n.changes[table] {
			b.WriteByte("=."[min(i, 1)])
			b.WriteString(base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, mark)))
		}
	}
	return b.String(), true
}

// parseNotice reads a notice as strictly as it is written: whoever may connect to the database can send on our channel.
func parseNotice(text string) (notice, error) {
	if len(text) > maxNotice {
		return notice{}, fmt.Errorf("%w: %d bytes", errNotice, len(text))
	}
	words := strings.Split(text, " ")
	if len(words) < 4 || len(words) > 3+maxChange || words[0] != noticeVersion || !isName(words[1], maxSender) {
		return notice{}, errNotice
	}
	number, err := strconv.ParseUint(words[2], 10, 64)
	if err != nil || strconv.FormatUint(number, 10) != words[2] {
		return notice{}, fmt.Errorf("%w: its number", errNotice)
	}
	n := notice{sender: words[1], number: number}
	if len(words) == 4 && words[3] == anything {
		return n, nil
	}
	n.changes = storage.Changes{}
	for _, word := range words[3:] {
		table, list, marked := strings.Cut(word, "=")
		marks, err := parseMarks(list, marked)
		if _, twice := n.changes[table]; err != nil || twice || !isName(table, maxTable) {
			return notice{}, fmt.Errorf("%w: one of its tables", errNotice)
		}
		n.changes.Add(table, marks...)
	}
	return n, nil
}

func parseMarks(list string, any bool) (marks []uint64, err error) {
	if !any {
		return nil, nil
	}
	for word := range strings.SplitSeq(list, ".") {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(word)
		if err != nil || len(raw) != 8 || strings.ContainsAny(word, "\r\n") {
			return nil, errNotice
		}
		marks = append(marks, binary.BigEndian.Uint64(raw))
	}
	return marks, nil
}

// isName reports whether text is made of what names are made of here.
func isName(text string, most int) bool {
	return text != "" && len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
}
