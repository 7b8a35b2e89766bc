// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
)

// Message is one of the protocol. A rule may change what of it is sent on.
type Message struct {
	Answer bool   // of the server's
	Kind   byte   // 0 is what a connection begins with
	SQL    string // what a 'P', a 'B' or a 'Q' is about
	Raw    []byte
}

// Committed reports whether the server says that it has committed.
func (m *Message) Committed() bool {
	return m.Answer && m.Kind == 'C' && bytes.Equal(m.Raw[5:], []byte("COMMIT\x00"))
}

// Runs reports whether the store has a statement run that begins so.
func (m *Message) Runs(sql string) bool {
	return !m.Answer && m.Kind == 'B' && strings.HasPrefix(m.SQL, sql)
}

// more reports whether more of the same trip is to come: the store does not wait before its Sync, nor the server before it is ready.
func (m *Message) more() bool {
	if m.Answer {
		return strings.IndexByte("123tTnDCsEI", m.Kind) >= 0
	}
	return strings.IndexByte("PBDEC", m.Kind) >= 0
}

// ends reports whether a trip, or one of its halves, ends here.
func (m *Message) ends() bool {
	if m.Answer {
		return m.Kind == 'Z'
	}
	return m.Kind == 'S' || m.Kind == 'Q'
}

// Trip is half of a round trip: what a store sends at once, or all that the server answers.
type Trip struct {
	Conn     int // which of the wire's connections
	Answer   bool
	Messages []*Message
	// Part is what is sent on all the same of a trip that a rule holds back.
	Part []byte
}

// Runs returns the statements that the store has run.
func (t *Trip) Runs() (statements []string) {
	for _, m := range t.Messages {
		if m.Runs("") {
			statements = append(statements, m.SQL)
		}
	}
	return statements
}

// Mentions reports whether a text occurs in the trip.
func (t *Trip) Mentions(text string) bool {
	return slices.ContainsFunc(t.Messages, func(m *Message) bool { return bytes.Contains(m.Raw, []byte(text)) })
}

// receive reads a message. The first of a connection has no kind.
func receive(from io.Reader, first bool) (*Message, error) {
	head := make([]byte, 5)
	if first {
		head = head[1:]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	m := &Message{Raw: head}
	if !first {
		m.Kind = head[0]
	}
	body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
	_, err := io.ReadFull(from, body)
	m.Raw = append(m.Raw, body...)
	return m, err
}

// about finds out which statement a message of the store's is about.
func (m *Message) about(statements map[string]string) {
	if m.Answer || m.Kind == 0 {
		return
	}
	texts := bytes.SplitN(m.Raw[5:], []byte{0}, 3)
	switch {
	case m.Kind == 'Q':
		m.SQL = string(texts[0])
	case m.Kind == 'P':
		m.SQL = string(texts[1])
		statements[string(texts[0])] = m.SQL
	case m.Kind == 'B':
		m.SQL = statements[string(texts[1])]
	}
}
